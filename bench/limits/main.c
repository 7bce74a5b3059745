/*
 *   limits rtt METHOD MILLISECONDS INTERVAL_US
 *   limits copy SIZE MILLISECONDS
 *
 * Prints one line of JSON. INTERVAL_US 0 is dense, otherwise the time from one
 * message to the next.
 */
#include "limits.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LARGEST_COPY (64u << 20)

static int usage(void) {
  fputs("usage: limits rtt spin|futex|eventfd|uds MILLISECONDS INTERVAL_US\n"
        "       limits copy SIZE MILLISECONDS      (SIZE: a power of two from 16 bytes)\n",
        stderr);
  return 2;
}

int main(int argc, char **argv) {
  cpu_set_t allowed;
  one_cpu = sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) < 2;
  struct shared *shared =
      mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (shared == MAP_FAILED) die("mmap");

  if (argc == 5 && strcmp(argv[1], "rtt") == 0) {
    unsigned long milliseconds = strtoul(argv[3], NULL, 10), interval_us = strtoul(argv[4], NULL, 10);
    if (milliseconds == 0) return usage();
    int status = round_trips(shared, argv[2], milliseconds * 1000000ull, interval_us * 1000ull);
    return status == 2 ? usage() : status;
  }
  if (argc == 4 && strcmp(argv[1], "copy") == 0) {
    size_t size = strtoull(argv[2], NULL, 10);
    unsigned long milliseconds = strtoul(argv[3], NULL, 10);
    if (size < 16 || size > LARGEST_COPY || (size & (size - 1)) != 0 || milliseconds == 0) return usage();
    return copy_ring(shared, size, milliseconds * 1000000ull);
  }
  return usage();
}
