/*
 * Event channels, doorbells and falling asleep: one domain, its links, and the rings it reads.
 *
 *   here                        there
 *   asleep, selector, pending   src/layout.ts EVENTS: one region a link, owned by the sleeper
 *   doorbell                    the link's eventfd: readable until it is read
 *   notify                      src/event/event-channels.ts EventNotifier `notify`
 *   collect                     src/event/event-channels.ts EventCollector `collect`
 *   sleep, wake                 src/event/event-channels.ts EventCollector `sleep`, `wake`
 *   publish                     src/ring/writer.ts `publish`, see ring.pml
 *   arm                         src/ring/reader.ts `park`, see ring.pml
 *   turn, fallAsleep            src/event/domain.ts: polls what is active; arms before it sleeps
 *   answerDoorbell              src/event/domain.ts `wake`, called by the event loop
 *   block                       a blocking call: the event loop stands still meanwhile
 *   Notifier                    a peer's domain, one a link
 *   Sleeper                     the domain
 *
 * A ring is reduced to the number of its unread items and to its reader's marks; a writer that
 * waits for room is the same with the sides exchanged. A ring is hot while its reader looks by
 * itself, and armed while it relies on being notified. A link is active while its domain polls it.
 *
 * An atomic or d_step holds one step on shared memory at most, with the local steps beside it.
 * Checked: when nothing moves any more, all is read, all is armed and asleep, and no doorbell
 * rings; no domain stays awake for ever (no cycle at all); a sleep is worth one ring at most.
 *
 * Each MUTANT_ macro spoils one thing, and must make the check fail. LOOK_BEFORE_ASLEEP is also what a
 * plain store of asleep does, from a store buffer; RING_WITHOUT_EXCHANGE only rings needlessly. Not
 * among them, since nothing breaks: to arm after looking, if a ring that cannot be armed still keeps
 * the domain awake; to read the doorbell after collecting, while the link is awake; not to clear
 * asleep when the doorbell rings.
 */

#ifndef LINKS
#define LINKS 1
#endif
#ifndef RINGS_PER_LINK
#define RINGS_PER_LINK 3
#endif
#ifndef WORDS_PER_GROUP
#define WORDS_PER_GROUP 1
#endif
#ifndef ITEMS
#define ITEMS 2
#endif
#ifndef MAX_BLOCKING_CALLS
#define MAX_BLOCKING_CALLS 1
#endif
#define RINGS (LINKS * RINGS_PER_LINK)
#define RINGS_PER_WORD 2
#define WORDS ((RINGS_PER_LINK + RINGS_PER_WORD - 1) / RINGS_PER_WORD)

#define firstRing(link) ((link) * RINGS_PER_LINK)
#define lastRing(link) (firstRing(link) + RINGS_PER_LINK - 1)
#define linkOf(ring) ((ring) / RINGS_PER_LINK)
#define port(ring) ((ring) % RINGS_PER_LINK)
#define pendingOf(link, word) pending[(link) * WORDS + (word)]
#define pendingBit(port) (1 << ((port) % RINGS_PER_WORD))
#define groupBit(word) (1 << ((word) / WORDS_PER_GROUP))
#ifdef MUTANT_ONE_ASLEEP_FOR_ALL_LINKS
#define asleepOf(link) asleep[0]
#define sleepsOf(link) sleeps[0]
#else
#define asleepOf(link) asleep[link]
#define sleepsOf(link) sleeps[link]
#endif

byte items[RINGS], unsent[RINGS] = ITEMS;
bool parked[RINGS], onFutex[RINGS];
bool futexSleeps;

byte pending[LINKS * WORDS];
byte selector[LINKS];
bool asleep[LINKS];
bool doorbell[LINKS];

byte blockingCalls;

/* Sleeps that were neither taken back nor answered by a ring. */
byte sleeps[LINKS];

/* ---- the notifier ---- */

inline setPending() {
  pendingOf(link, port(ring) / RINGS_PER_WORD) = pendingOf(link, port(ring) / RINGS_PER_WORD) | pendingBit(port(ring))
}

inline setSelector() {
  selector[link] = selector[link] | groupBit(port(ring) / RINGS_PER_WORD)
}

inline notify() {
#ifdef MUTANT_SELECTOR_BEFORE_PENDING
  setSelector();
  setPending();
#else
  setPending();
  setSelector();
#endif
  d_step {
    old = asleepOf(link);
#ifndef MUTANT_RING_WITHOUT_EXCHANGE
    asleepOf(link) = false
#endif
  };
  if
  :: old -> d_step { assert(sleepsOf(link) > 0); sleepsOf(link)--; doorbell[link] = true }
  :: else
  fi
}

#define hasUnsent(port) (port < RINGS_PER_LINK && unsent[firstRing(link) + port] > 0)

proctype Notifier(byte link) {
  byte ring;
  bool old, wakes;

  do
  :: atomic {
       if
       :: hasUnsent(0) -> ring = firstRing(link)
       :: hasUnsent(1) -> ring = firstRing(link) + 1
       :: hasUnsent(2) -> ring = firstRing(link) + 2
       :: else -> break
       fi;
       unsent[ring]--;
       items[ring]++;
       old = parked[ring]
     };
     if
     :: old ->
        d_step {
          old = parked[ring] && !onFutex[ring];
          wakes = onFutex[ring];
          parked[ring] = false;
          onFutex[ring] = false
        };
        if
        :: wakes -> d_step { wakes = false; futexSleeps = false }
        :: old -> notify()
        :: else
        fi;
        old = false
     :: else
     fi
  od
}

/* ---- the sleeper ---- */

inline setHot() {
  d_step {
    for (ring : firstRing(link) .. lastRing(link)) {
      hot[ring] = hot[ring] || (port(ring) / RINGS_PER_WORD == word && (bits & pendingBit(port(ring))))
    }
    ring = 0;
    bits = 0
  }
}

inline collect() {
#ifdef MUTANT_PENDING_BEFORE_SELECTOR
  groups = 255;
#else
#ifdef MUTANT_CLEAR_SELECTOR_BY_STORE
  groups = selector[link];
  selector[link] = (groups -> 0 : selector[link]);
#else
  d_step { groups = selector[link]; selector[link] = 0 };
#endif
#endif
  do
  :: atomic {
       word < WORDS && (groups & groupBit(word)) ->
       bits = pendingOf(link, word);
#ifdef MUTANT_CLEAR_PENDING_BY_STORE
     };
     atomic {
#endif
       pendingOf(link, word) = 0;
       setHot();
       word++
     }
  :: atomic { word < WORDS && !(groups & groupBit(word)) -> word++ }
  :: word == WORDS -> break
  od;
#ifdef MUTANT_PENDING_BEFORE_SELECTOR
  selector[link] = 0;
#endif
  atomic { word = 0; groups = 0 }
}

/* Takes an item from each hot ring that has one. */
inline read() {
  ring = firstRing(link);
  do
  :: d_step {
       ring <= lastRing(link) ->
       if
       :: hot[ring] && items[ring] > 0 -> items[ring]--; worked = true
       :: else
       fi;
       ring++
     }
  :: ring > lastRing(link) -> break
  od;
  ring = 0
}

inline turn() {
  worked = false;
  do
  :: link < LINKS && isActive[link] -> collect(); read(); link++
  :: link < LINKS && !isActive[link] -> link++
  :: link == LINKS -> break
  od;
  link = 0
}

inline arm() {
  ring = firstRing(link);
  do
  :: d_step {
       ring <= lastRing(link) ->
       if
       :: hot[ring] && items[ring] == 0 -> parked[ring] = true; hot[ring] = false
#ifdef MUTANT_IGNORE_FAILED_ARM
       :: hot[ring] && items[ring] > 0 -> hot[ring] = false
#else
       :: hot[ring] && items[ring] > 0 -> awake = true
#endif
       :: else
       fi;
       ring++
     }
  :: ring > lastRing(link) -> break
  od;
  ring = 0
}

inline wake(link) {
  d_step {
    if
    :: asleepOf(link) -> sleepsOf(link)--
    :: else
    fi;
    asleepOf(link) = false
  }
}

inline setAsleep() {
  d_step {
    if
    :: !asleepOf(link) -> sleepsOf(link)++
    :: else
    fi;
    asleepOf(link) = true
  }
}

inline look() {
  awake = (selector[link] != 0)
}

inline sleep() {
#ifdef MUTANT_LOOK_BEFORE_ASLEEP
  look();
  setAsleep();
#else
  setAsleep();
  look();
#endif
#ifdef MUTANT_DRAIN_WHEN_ASLEEP
  doorbell[link] = false;
#endif
  if
  :: awake -> wake(link)
  :: !awake -> isActive[link] = false
  fi
}

inline fallAsleep() {
  do
  :: link < LINKS && isActive[link] ->
     arm();
     if
     :: awake
     :: !awake -> sleep()
     fi;
     d_step { awake = false; link++ }
  :: link < LINKS && !isActive[link] -> link++
  :: link == LINKS -> break
  od;
  link = 0
}

inline answerDoorbell(link) {
#if !defined(MUTANT_NO_DRAIN) && !defined(MUTANT_DRAIN_WHEN_ASLEEP)
  doorbell[link] = false;
#endif
  wake(link);
  isActive[link] = true
}

/* Ends when it was woken, at once if it has no patience, or when nothing will come any more. */
inline block() {
  atomic { blockingCalls > 0 -> blockingCalls--; select(ring : 0 .. RINGS - 1); select(patience : 0 .. 1) };
  d_step {
    if
    :: items[ring] > 0 -> items[ring]--
    :: else -> parked[ring] = true; onFutex[ring] = true
    fi
  };
  futexSleeps = onFutex[ring];
  atomic {
    if
    :: !futexSleeps
    :: futexSleeps && !patience
    :: futexSleeps && unsent[ring] == 0 && items[ring] == 0
    fi;
    futexSleeps = false
  };
  d_step {
    parked[ring] = false;
    onFutex[ring] = false;
#ifndef MUTANT_FORGET_AFTER_BLOCKING
    hot[ring] = true;
    isActive[linkOf(ring)] = true;
#endif
    ring = 0
  }
}

#define rings(link) (link < LINKS && doorbell[link])
#define polls(link) (link < LINKS && isActive[link])

proctype Sleeper() {
  bool hot[RINGS] = true, isActive[LINKS] = true;
  byte link, ring, word, groups, bits;
  bool worked, awake, patience;

  do
  :: true ->
endAsleep:
     if
     :: rings(0) -> answerDoorbell(0)
     :: rings(1) -> answerDoorbell(1)
     :: polls(0) || polls(1)
     :: block()
     fi;
     turn();
     if
     :: worked -> patience = true
     :: !worked && patience -> patience = false
     :: fallAsleep()
     fi
  od
}

init {
  byte i;

  atomic {
    select(blockingCalls : 0 .. MAX_BLOCKING_CALLS);
    run Sleeper();
    for (i : 0 .. LINKS - 1) {
      run Notifier(i)
    }
  };
  timeout;
  d_step {
    for (i : 0 .. RINGS - 1) {
      assert(items[i] == 0);
      assert(parked[i] && !onFutex[i])
    };
    for (i : 0 .. LINKS - 1) {
      assert(asleepOf(i) && !doorbell[i]);
      assert(selector[i] == 0)
    }
  }
}
