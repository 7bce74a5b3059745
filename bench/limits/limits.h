/*
 * The limit of this machine, in C: what two processes can reach at best, by
 * each way to wake the other one, and by copying through a ring. Messages are
 * really copied into and out of shared memory, and checked. Every wait is
 * bounded: where a peer does not answer within WAIT_LIMIT_NS, the program ends
 * with status 1.
 */
#pragma once
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAIT_LIMIT_NS 5000000000ull
#define MESSAGE_BYTES 64
#define RING_BYTES (256u << 10)

struct message {
  uint64_t sequence;
  uint64_t kind;
  uint64_t filler[5];
  uint64_t check;
};

_Static_assert(sizeof(struct message) == MESSAGE_BYTES, "one message is 64 bytes");

/* One direction: the message, and on the next line the word that says it is there. */
struct slot {
  _Alignas(128) struct message message;
  _Alignas(64) _Atomic uint32_t word;
};

struct shared {
  struct slot slots[2];
  _Alignas(128) _Atomic uint64_t published;
  _Alignas(128) _Atomic uint64_t consumed;
  _Alignas(128) _Atomic uint64_t total;
  _Atomic uint32_t receiver_done;
  uint64_t peer_cpu_ns;
  uint64_t peer_end_ns;
  _Alignas(4096) uint8_t ring[RING_BYTES];
};

/* Counts turns of a spin loop, and looks at the clock now and then. */
struct patience {
  uint32_t turns;
  uint64_t deadline;
};

/* Whether both sides have but one CPU, and must yield it. */
extern bool one_cpu;

_Noreturn void die(const char *what);
uint64_t now_ns(void);
/* CPU time of this process. */
uint64_t cpu_ns(void);
void spin_once(struct patience *patience);

/* A plain vector loop: libc's memcpy falls to a tenth of its speed where the
 * target lies 1 to 63 bytes after the source modulo 4096. */
typedef uint64_t vector __attribute__((vector_size(32), aligned(1), may_alias));

static inline void copy(uint8_t *target, const uint8_t *source, size_t length) {
  size_t at = 0;
  for (; at + 64 <= length; at += 64) {
    vector a = *(const vector *)(source + at);
    vector b = *(const vector *)(source + at + 32);
    *(vector *)(target + at) = a;
    *(vector *)(target + at + 32) = b;
    __asm__ volatile("" ::: "memory"); /* keeps the compiler from making it a memcpy */
  }
  for (; at < length; at++) target[at] = source[at];
}

/* Starts the peer, each on a CPU of its own if pinned. Returns whether this is the peer. */
bool start_peer(bool pinned);
/* Waits for the end of the peer. Returns the exit status of the program. */
int reap_peer(void);

/* Each runs both sides, prints a line of JSON, and returns the exit status; 2 for an unknown method. */
int round_trips(struct shared *shared, const char *method, uint64_t duration_ns, uint64_t interval_ns);
int copy_ring(struct shared *shared, size_t size, uint64_t duration_ns);
