/*
 * A broadcast region: its writer, and one reader, that is overtaken or, with BLOCK, waited for. Readers share nothing
 * that they write, so one stands for all.
 *
 *   here                         there
 *   head, tail, newest           src/layout.ts BROADCAST
 *   consumed, *Parked, wanted    src/layout.ts CURSOR
 *   publish, giveUp, put         src/broadcast/writer.ts `publish`, `#giveUp`, `put`
 *   wakeReader                   src/broadcast/cursor.ts WriterCursor `wake`
 *   waitForRoom                  src/broadcast/publication.ts `#isHeld`, `#parkAt`
 *   Reader                       src/broadcast/reader.ts `next`, src/broadcast/subscription.ts `poll`, `arm`
 *   release                      src/broadcast/cursor.ts ReaderCursor `release`
 *   readerEvent, writerEvent     the bit of an event channel, which events.pml opens up
 *
 * Positions count records, all of one length. A record is a number and a payload, each written and read in a step of
 * its own; an atomic or d_step holds one step on shared memory at most, with the local steps beside it. Steps are in
 * order, which is what the fences are for.
 *
 * Each MUTANT_ macro spoils one thing, and must make the check fail.
 */

#ifndef CELLS
#define CELLS 2
#endif
#ifndef MESSAGES
#define MESSAGES 5
#endif

byte head, tail, newest;
byte number[CELLS], payload[CELLS];
byte consumed, wanted;
bool readerParked, writerParked;
bool readerEvent, writerEvent;

#define at(position) ((position) % CELLS)

inline wakeReader() {
  if
  :: readerParked ->
    /* Exchange. */
    d_step { if :: readerParked -> readerParked = false; readerEvent = true :: else fi }
  :: else
  fi
}

inline publish() {
  if
  :: published < filled ->
#ifdef MUTANT_WAKE_BEFORE_PUBLISHING
    wakeReader();
#endif
    atomic { head = filled; published = filled }
    newest = filled - 1;
#ifndef MUTANT_WAKE_BEFORE_PUBLISHING
    wakeReader()
#endif
  :: else
  fi
}

/* Of the record that the next one overwrites, if any. */
inline giveUp() {
  if
  :: filled >= CELLS ->
    if
    :: filled + 1 - CELLS > published -> publish()
    :: else
    fi;
    tail = filled + 1 - CELLS
  :: else
  fi
}

#ifdef BLOCK
inline waitForRoom() {
  do
  :: filled < CELLS || consumed >= filled + 1 - CELLS -> break
  :: else ->
    publish();
#ifdef MUTANT_TRUST_AN_OLD_MARK
    if
    :: isMarked
    :: else ->
#endif
    wanted = filled + 1 - CELLS;
    writerParked = true;
#ifdef MUTANT_TRUST_AN_OLD_MARK
    isMarked = true
    fi;
#endif
#ifndef MUTANT_WRITER_PARKS_WITHOUT_A_LOOK
    if
    :: consumed >= filled + 1 - CELLS -> break
    :: else
    fi;
#endif
    atomic { writerEvent -> writerEvent = false }
  od
#ifdef MUTANT_TRUST_AN_OLD_MARK
  ; isMarked = false
#endif
}
#endif

proctype Writer() {
  byte filled, published;
#ifdef MUTANT_TRUST_AN_OLD_MARK
  bool isMarked;
#endif
  do
  :: filled == MESSAGES -> break
  :: else ->
#ifdef BLOCK
    waitForRoom();
#endif
#ifndef MUTANT_OVERWRITE_BEFORE_GIVING_UP
    giveUp();
#endif
#ifdef MUTANT_PUBLISH_BEFORE_PUTTING
    head = filled + 1;
#endif
    number[at(filled)] = filled + 1;
    payload[at(filled)] = filled + 1;
#ifdef MUTANT_OVERWRITE_BEFORE_GIVING_UP
    giveUp();
#endif
    filled++;
    /* At the end of the turn, or later in it. */
    if
    :: publish()
    :: true
    fi
  od;
  publish()
}

#ifdef BLOCK
inline release() {
#ifdef MUTANT_LOOK_BEFORE_TELLING
  isAwaited = writerParked;
  consumed = position;
#else
  consumed = position;
  isAwaited = writerParked;
#endif
  if
  :: isAwaited ->
    if
    :: consumed >= wanted ->
      d_step { if :: writerParked -> writerParked = false; writerEvent = true :: else fi }
    :: else
    fi
  :: else
  fi
}
#endif

proctype Reader() {
  byte position, seen, oldest, first, second, received, lost, expected;
  bool isBehind, isAwaited;
  do
  :: seen = head;
    if
    :: position < seen ->
#ifdef MUTANT_CHECK_BEFORE_COPYING
      oldest = tail;
#endif
      first = number[at(position)];
      second = payload[at(position)];
#ifndef MUTANT_CHECK_BEFORE_COPYING
      oldest = tail;
#endif
#ifdef BLOCK
      assert(oldest <= position);
#endif
      if
      :: oldest <= position ->
        d_step {
          assert(first == position + 1 && second == position + 1);
          lost = lost + first - 1 - expected;
          expected = first;
          received++;
          position++;
          isBehind = false
        }
#ifdef BLOCK
        release()
#endif
      :: else ->
        position = oldest;
        if
        :: isBehind -> d_step { if :: newest > position -> position = newest :: else fi }
        :: else -> isBehind = true
        fi
      fi
    :: else ->
      if
      :: position == MESSAGES -> break
      :: else ->
        readerParked = true;
#ifdef MUTANT_READER_PARKS_WITHOUT_A_LOOK
        seen = position;
#else
        seen = head;
#endif
        if
        :: position < seen -> readerParked = false
        :: else -> atomic { readerEvent -> readerEvent = false }
        fi
      fi
    fi
  od;
  assert(received + lost == MESSAGES);
#ifdef BLOCK
  assert(lost == 0)
#endif
}

init {
  atomic { run Writer(); run Reader() }
}
