/*
 * One ring: its control word, parking, waking, batches, lent bytes, time-outs, death.
 *
 *   here                         there
 *   word, *_PARKED, *_ON_FUTEX   src/layout.ts RING.controlWord, CONTROL
 *   MAX_FRAME                    src/layout.ts FRAME.maxPartOfRing
 *   wakeReader, wakeWriter       src/ring/control-word.ts `wakeReader`, `wakeWriter`, `futexWake`
 *   futexWait                    src/ring/control-word.ts `waitReader`, `waitWriter`, `futexWait`
 *   unparkReader, unparkWriter   src/ring/control-word.ts `unparkReader`, `unparkWriter`
 *   noteFree, fill, publish      src/ring/writer.ts `hasRoom`, `fill` and `advance`, `publish`
 *   parkWriter                   src/ring/writer.ts `park`, src/ring/control-word.ts `parkWriter`
 *   noteUnread, take, release    src/ring/reader.ts `observe`, `take`, `release`
 *   parkReader                   src/ring/reader.ts `park`, src/ring/control-word.ts `parkReader`
 *   waitWriter, waitReader       what a parked domain does: its event loop, or a blocking call
 *   Writer, Reader               the two domains; init is fate
 *   readerEvent, writerEvent     the bit of an event channel, which events.pml opens up
 *   assert on available(...)     the range checks: an honest peer never fails one
 *
 * The ring has 8 units, a frame 1 or 2, a message 1, 2 or 10, which is more than the ring. An atomic
 * or d_step holds one step on shared memory at most, with the local steps beside it. `cell` is
 * what was filled and neither read nor given back yet; 0 is the writer's to fill.
 *
 * Waits have no slices here: a lost wake-up is a deadlock. A wait that times out could hide it, so
 * the time-outs of a run are limited by a number chosen before, which may be 0. Death could hide
 * it, too, and has runs of its own.
 *
 * Each MUTANT_ macro spoils one thing, and must make the check fail. Not among them, since nothing
 * breaks: to wake the writer when half of the ring is free, or when any of it is.
 */

#define CAPACITY 8
#define MAX_FRAME (CAPACITY / 4)
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef LONG_MESSAGE
#define LONG_MESSAGE (CAPACITY + 2)
#endif
#ifndef MAX_TIMEOUTS
#define MAX_TIMEOUTS 1
#endif

#define AVAILABLE 15
#define READER_PARKED 16
#define WRITER_PARKED 32
#define READER_ON_FUTEX 64
#ifdef MUTANT_SHARED_FUTEX_BIT
#define WRITER_ON_FUTEX READER_ON_FUTEX
#else
#define WRITER_ON_FUTEX 128
#endif
#define READER (READER_PARKED | READER_ON_FUTEX)
#define WRITER (WRITER_PARKED | WRITER_ON_FUTEX)

#define available(seen) ((seen) & AVAILABLE)
#define without(seen, bits) ((seen) & (255 - (bits)))

#define header(sequence, length, last) (128 + (sequence) * 8 + (last) * 4 + (length))
#define payload(sequence) (64 + (sequence))
#define isHeader(cell) ((cell) >= 128)
#define isLast(header) (((header) & 4) != 0)
#define lengthOf(header) ((header) & 3)

#if defined(MUTANT_WAKE_BY_FREE_BEFORE)
#define enoughFree(before, released) (available(before) >= MAX_FRAME)
#elif defined(MUTANT_WAKE_BY_RELEASED)
#define enoughFree(before, released) (released >= MAX_FRAME)
#else
#define enoughFree(before, released) (available(before) + released >= MAX_FRAME)
#endif

byte word = CAPACITY;
byte cell[CAPACITY];
bool readerEvent, writerEvent;
bool readerSleeps, writerSleeps;
bool readerDead, writerDead;
byte timeouts;

/* A park is worth one wake-up at most. */
bool readerOwed, writerOwed;

#ifdef DEATH
#define untilDeath(dead) unless { dead }
#else
#define untilDeath(dead)
#endif

/* Both are up to the application: to go on in its event loop, or to make a blocking call. */
inline chooseSleep(event, futex) {
  if
  :: parked = event
  :: parked = futex
  fi
}

inline futexWait(mark, sleeps) {
  atomic { seen = word };
  d_step {
    if
#ifdef MUTANT_WAIT_WITHOUT_MARK
    :: word == seen -> sleeps = true
#else
    :: (seen & mark) && word == seen -> sleeps = true
#endif
    :: else
    fi;
    seen = 0
  }
}

inline clearBeforeWake(bits, parkedBit, owed) {
  d_step {
#ifndef MUTANT_DECIDE_BY_OLD
    old = word;
#endif
#ifndef MUTANT_WAKE_WITHOUT_CLEAR
    word = without(word, bits);
#endif
#if !defined(MUTANT_DECIDE_BY_OLD) && !defined(MUTANT_WAKE_WITHOUT_CLEAR)
    assert(owed || !(old & parkedBit));
#endif
    owed = false
  }
}

inline wake(bits, parkedBit, futexBit, event) {
  if
  :: atomic { old & futexBit -> readerSleeps = false; writerSleeps = false }
  :: atomic { (old & bits) == parkedBit -> event = true }
  :: (old & bits) == 0
  fi
}

inline wakeReader() {
#ifdef MUTANT_WAKE_BEFORE_CLEAR
  wake(READER, READER_PARKED, READER_ON_FUTEX, readerEvent);
  clearBeforeWake(READER, READER_PARKED, readerOwed);
#else
  clearBeforeWake(READER, READER_PARKED, readerOwed);
  wake(READER, READER_PARKED, READER_ON_FUTEX, readerEvent);
#endif
  old = 0
}

inline wakeWriter() {
  clearBeforeWake(WRITER, WRITER_PARKED, writerOwed);
  wake(WRITER, WRITER_PARKED, WRITER_ON_FUTEX, writerEvent);
  old = 0
}

/* ---- the writer ---- */

inline noteFree(seenWord) {
  assert(available(seenWord) <= CAPACITY && available(seenWord) >= free + unpublished);
  free = available(seenWord) - unpublished
}

inline nextFrame() {
  if
  :: left == 0 && messages < MESSAGES ->
     messages++;
     if
     :: left = 1
     :: left = 2
     :: left = LONG_MESSAGE
     fi
  :: else
  fi;
  length = (left < MAX_FRAME -> left : MAX_FRAME)
}

inline fill() {
  d_step {
    i = 0;
    do
    :: i < length ->
       assert(cell[(offset + i) % CAPACITY] == 0);
       cell[(offset + i) % CAPACITY] = (i == 0 -> header(sequence, length, left == length) : payload(sequence));
       i++
    :: else -> break
    od;
    i = 0;
    offset = (offset + length) % CAPACITY;
    sequence = (sequence + 1) % 16;
    free = free - length;
    unpublished = unpublished + length;
    left = left - length
  }
}

inline publish() {
  if
  :: unpublished > 0 ->
     d_step {
       old = word;
       assert(available(old) <= CAPACITY && available(old) >= free + unpublished);
       word = word - unpublished;
       unpublished = 0
     };
     if
     :: old & READER_PARKED -> wakeReader()
     :: else -> old = 0
     fi
  :: else
  fi
}

inline parkWriter() {
#ifndef MUTANT_PARK_UNPUBLISHED
  publish();
#endif
  do
  :: atomic {
       seen = word;
       noteFree(seen);
       if
       :: length <= free -> seen = 0; parked = 0; break
       :: else
       fi
     };
     atomic {
       if
#ifdef MUTANT_WRITER_PARKS_BY_STORE
       :: true ->
#else
       :: word == seen ->
#endif
          word = seen | parked; writerOwed = true; seen = 0; break
       :: else
       fi
     }
  od
}

inline unparkWriter() {
#ifdef MUTANT_NO_UNPARK
  skip
#else
  word = without(word, WRITER); writerOwed = false
#endif
}

inline waitWriter() {
  if
  :: parked == WRITER ->
     do
     :: futexWait(WRITER_ON_FUTEX, writerSleeps);
        atomic {
          if
          :: !writerSleeps -> break
          :: writerSleeps && readerDead -> writerSleeps = false; break
          :: writerSleeps && timeouts > 0 -> timeouts--; writerSleeps = false; break
          :: writerSleeps && timeouts > 0 -> timeouts--; writerSleeps = false
          fi
        }
     od;
     atomic { unparkWriter(); parked = 0 }
  :: parked == WRITER_PARKED ->
     atomic {
       if
       :: writerEvent -> writerEvent = false
       :: timeouts > 0 -> timeouts--
       :: timeouts > 0 -> timeouts--; unparkWriter()
       :: readerDead
       fi;
       parked = 0
     }
  :: else
  fi
}

proctype Writer() {
  byte seen, old, parked, i;
  byte free = CAPACITY, unpublished, offset, sequence, length, left, messages;

  {
    atomic { nextFrame() };
    do
    :: atomic { length > 0 && length <= free -> fill(); nextFrame() }
    :: unpublished > 0 -> publish()
    :: length > free ->
       atomic { noteFree(word) };
       if
       :: length <= free
       :: atomic { length > free -> chooseSleep(WRITER_PARKED, WRITER) }; parkWriter(); waitWriter()
       fi
    :: length == 0 && unpublished == 0 || readerDead -> break
    od
  } untilDeath(writerDead)
}

/* ---- the reader ---- */

inline noteUnread(seenWord) {
  assert(available(seenWord) <= CAPACITY - taken - unread);
  unread = CAPACITY - taken - available(seenWord)
}

/* Reads a frame where it lies: its bytes are lent until given back. */
inline take() {
  d_step {
    frame = cell[offset];
    length = lengthOf(frame);
    assert(isHeader(frame) && frame == header(sequence, length, isLast(frame)));
    assert(length == 1 || cell[(offset + 1) % CAPACITY] == payload(sequence));
    assert(length <= unread);
    messages = messages + isLast(frame);
    offset = (offset + length) % CAPACITY;
    sequence = (sequence + 1) % 16;
    unread = unread - length;
    taken = taken + length;
    frame = 0;
    length = 0
  }
}

/* The application is done with what it was lent. */
inline giveBack(held) {
  d_step {
    length = held;
    do
    :: length > 0 -> cell[(offset + CAPACITY - length) % CAPACITY] = 0; length--
    :: else -> break
    od
  }
}

inline release() {
  if
  :: taken > 0 ->
     atomic {
#ifndef MUTANT_RELEASE_WHILE_LENT
       giveBack(taken);
#endif
       old = word;
       assert(available(old) <= CAPACITY - taken - unread);
       word = word + taken;
       released = taken;
       taken = 0
     };
#ifdef MUTANT_RELEASE_WHILE_LENT
     giveBack(released);
#endif
     if
     :: old & WRITER_PARKED && enoughFree(old, released) -> released = 0; wakeWriter()
     :: else -> old = 0; released = 0
     fi
  :: else
  fi
}

inline parkReader() {
#ifndef MUTANT_PARK_HOLDING
  release();
#endif
  do
  :: atomic {
       seen = word;
       noteUnread(seen);
       if
       :: unread > 0 -> seen = 0; parked = 0; break
       :: else
       fi
     };
     atomic {
       if
#if defined(MUTANT_READER_PARKS_BY_STORE)
       :: true ->
#elif defined(MUTANT_READER_PARKS_BY_OR)
       :: true -> seen = word;
#else
       :: word == seen ->
#endif
          word = seen | parked; readerOwed = true; seen = 0; break
       :: else
       fi
     }
  od
}

inline unparkReader() {
#ifdef MUTANT_NO_UNPARK
  skip
#else
  word = without(word, READER); readerOwed = false
#endif
}

inline waitReader() {
  if
  :: parked == READER ->
     do
     :: futexWait(READER_ON_FUTEX, readerSleeps);
        atomic {
          if
          :: !readerSleeps -> break
          :: readerSleeps && writerDead -> sawDeath = true; readerSleeps = false; break
          :: readerSleeps && timeouts > 0 -> timeouts--; readerSleeps = false; break
          :: readerSleeps && timeouts > 0 -> timeouts--; readerSleeps = false
          fi
        }
     od;
     atomic { unparkReader(); parked = 0 }
  :: parked == READER_PARKED ->
     atomic {
       if
       :: readerEvent -> readerEvent = false
       :: timeouts > 0 -> timeouts--
       :: timeouts > 0 -> timeouts--; unparkReader()
       :: writerDead -> sawDeath = true
       fi;
       parked = 0
     }
  :: else
  fi
}

proctype Reader() {
  byte seen, old, parked, released, frame, length;
  byte unread, taken, offset, sequence, messages;
  bool sawDeath;

  {
    do
    :: atomic {
         noteUnread(word);
         do
         :: unread > 0 -> take()
         :: taken > 0 || unread == 0 -> break
         od
       };
       if
       :: taken > 0 -> release()
       :: taken > 0 && unread == 0
       :: atomic { unread == 0 && messages < MESSAGES && !sawDeath -> chooseSleep(READER_PARKED, READER) };
          parkReader();
          waitReader()
       :: taken == 0 && unread == 0 && (messages == MESSAGES || sawDeath) -> break
       fi
    :: writerDead && !sawDeath -> sawDeath = true
#ifdef MUTANT_NO_DRAIN_AFTER_DEATH
    :: sawDeath -> break
#endif
    od;
    assert(available(word) == CAPACITY);
    assert(messages == MESSAGES || sawDeath)
  } untilDeath(readerDead)
}

init {
  atomic {
    select(timeouts : 0 .. MAX_TIMEOUTS);
    run Writer();
    run Reader()
  };
#ifdef DEATH
  if
  :: readerDead = true
  :: writerDead = true
  fi
#endif
}
