/* A ring that one side copies messages into, and the other copies them out of. */
#include "limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_PIECE (64u << 10)
/* Small messages are published together, as a batching writer would. */
#define PUBLISH_BYTES (4u << 10)

static void stamp(uint8_t *message, size_t size, uint64_t sequence) {
  memcpy(message, &sequence, sizeof sequence);
  memcpy(message + size - sizeof sequence, &sequence, sizeof sequence);
}

static bool has_stamp(const uint8_t *message, size_t size, uint64_t sequence) {
  return memcmp(message, &sequence, sizeof sequence) == 0 &&
         memcmp(message + size - sizeof sequence, &sequence, sizeof sequence) == 0;
}

static void receive_all(struct shared *shared, size_t size) {
  uint8_t *message = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
  if (message == NULL) die("aligned_alloc");
  size_t piece = size < LARGEST_PIECE ? size : LARGEST_PIECE;
  uint64_t consumed = 0, returned = 0, published = 0, cpu_before = cpu_ns();
  for (uint64_t sequence = 1;; sequence++) {
    for (size_t at = 0; at < size; at += piece) {
      struct patience patience = {0, 0};
      while (published - consumed < piece) {
        published = atomic_load_explicit(&shared->published, memory_order_acquire);
        if (published - consumed >= piece) break;
        if (returned != consumed) {
          atomic_store_explicit(&shared->consumed, returned = consumed, memory_order_release);
        }
        if (consumed != 0 && consumed == atomic_load_explicit(&shared->total, memory_order_acquire)) {
          shared->peer_end_ns = now_ns();
          shared->peer_cpu_ns = cpu_ns() - cpu_before;
          atomic_store_explicit(&shared->receiver_done, 1, memory_order_release);
          return;
        }
        spin_once(&patience);
      }
      copy(message + at, shared->ring + consumed % RING_BYTES, piece);
      consumed += piece;
      if (consumed - returned >= RING_BYTES / 4) {
        atomic_store_explicit(&shared->consumed, returned = consumed, memory_order_release);
      }
    }
    errno = 0;
    if (!has_stamp(message, size, sequence)) die("a message arrived damaged");
    if (consumed == size) cpu_before = cpu_ns();
  }
}

static void measure_copy(struct shared *shared, size_t size, uint64_t duration_ns) {
  uint8_t *message = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
  if (message == NULL) die("aligned_alloc");
  memset(message, 7, size);
  size_t piece = size < LARGEST_PIECE ? size : LARGEST_PIECE;
  uint64_t written = 0, published = 0, consumed = 0, sequence = 0, cpu_before = cpu_ns(), start = now_ns();
  for (uint64_t end = start + duration_ns;;) {
    if (sequence % 64 == 0 && sequence != 0 && now_ns() >= end) break;
    stamp(message, size, ++sequence);
    for (size_t at = 0; at < size; at += piece) {
      struct patience patience = {0, 0};
      while (written - consumed > RING_BYTES - piece) {
        consumed = atomic_load_explicit(&shared->consumed, memory_order_acquire);
        if (written - consumed <= RING_BYTES - piece) break;
        if (published != written) {
          atomic_store_explicit(&shared->published, published = written, memory_order_release);
        }
        spin_once(&patience);
      }
      copy(shared->ring + written % RING_BYTES, message + at, piece);
      written += piece;
      if (written - published >= PUBLISH_BYTES) {
        atomic_store_explicit(&shared->published, published = written, memory_order_release);
      }
    }
  }
  atomic_store_explicit(&shared->published, written, memory_order_release);
  uint64_t cpu = cpu_ns() - cpu_before;
  atomic_store_explicit(&shared->total, written, memory_order_release);
  struct patience patience = {0, 0};
  while (!atomic_load_explicit(&shared->receiver_done, memory_order_acquire)) spin_once(&patience);
  double seconds = (double)(shared->peer_end_ns - start) / 1e9;
  cpu += shared->peer_cpu_ns;
  printf("{\"method\":\"copy\",\"size\":%zu,\"count\":%llu,\"msgs_per_s\":%.0f,\"gb_per_s\":%.4f,"
         "\"cpu_us_per_msg\":%.4f}\n",
         size, (unsigned long long)sequence, (double)sequence / seconds, (double)sequence * (double)size / seconds / 1e9,
         (double)cpu / 1e3 / (double)sequence);
}

int copy_ring(struct shared *shared, size_t size, uint64_t duration_ns) {
  if (start_peer(true)) {
    receive_all(shared, size);
    return 0;
  }
  measure_copy(shared, size, duration_ns);
  return reap_peer();
}
