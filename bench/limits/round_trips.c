/* Round trips of a 64-byte message, by four ways to wake the peer. */
#include "limits.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define WAIT_SLICE_MS 100
#define MAX_SAMPLES (8u << 20)

enum kind { WARM_UP, FIRST, PLAIN, STOP };

/* One side of a round trip: it sends by `out` and receives by `in`. */
struct side {
  struct slot *out, *in;
  int out_fd, in_fd, epoll_fd;
};

struct method {
  const char *name;
  void (*send)(struct side *, const struct message *);
  void (*receive)(struct side *, struct message *);
};

static uint32_t put(struct slot *slot, const struct message *message) {
  copy((uint8_t *)&slot->message, (const uint8_t *)message, MESSAGE_BYTES);
  return (uint32_t)message->sequence;
}

static void take(struct slot *slot, struct message *message) {
  copy((uint8_t *)message, (const uint8_t *)&slot->message, MESSAGE_BYTES);
}

/* `message` holds the one before, whose sequence the word still shows until the next is there. */
static void spin_send(struct side *side, const struct message *message) {
  uint32_t word = put(side->out, message);
  atomic_store_explicit(&side->out->word, word, memory_order_release);
}

static void spin_receive(struct side *side, struct message *message) {
  struct patience patience = {0, 0};
  uint32_t before = (uint32_t)message->sequence;
  while (atomic_load_explicit(&side->in->word, memory_order_acquire) == before) spin_once(&patience);
  take(side->in, message);
}

static long futex(_Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *timeout) {
  return syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

static void futex_send(struct side *side, const struct message *message) {
  spin_send(side, message);
  if (futex(&side->out->word, FUTEX_WAKE, 1, NULL) < 0) die("futex wake");
}

static void futex_receive(struct side *side, struct message *message) {
  const struct timespec slice = {0, WAIT_SLICE_MS * 1000000l};
  uint32_t before = (uint32_t)message->sequence;
  for (uint64_t waited = 0; atomic_load_explicit(&side->in->word, memory_order_acquire) == before;) {
    if (futex(&side->in->word, FUTEX_WAIT, before, &slice) == 0 || errno == EAGAIN || errno == EINTR) continue;
    if (errno != ETIMEDOUT) die("futex wait");
    waited += WAIT_SLICE_MS * 1000000ull;
    if (waited >= WAIT_LIMIT_NS) die("the peer did not answer");
  }
  take(side->in, message);
}

static void eventfd_send(struct side *side, const struct message *message) {
  uint64_t one = 1;
  spin_send(side, message);
  if (write(side->out_fd, &one, sizeof one) != sizeof one) die("eventfd write");
}

static void eventfd_receive(struct side *side, struct message *message) {
  struct epoll_event event;
  uint64_t count;
  int ready;
  do ready = epoll_wait(side->epoll_fd, &event, 1, WAIT_LIMIT_NS / 1000000);
  while (ready < 0 && errno == EINTR);
  if (ready < 1) die("the peer did not answer");
  if (read(side->in_fd, &count, sizeof count) != sizeof count) die("eventfd read");
  if (atomic_load_explicit(&side->in->word, memory_order_acquire) == (uint32_t)message->sequence) {
    die("an eventfd rang for nothing");
  }
  take(side->in, message);
}

static void uds_send(struct side *side, const struct message *message) {
  if (send(side->out_fd, message, MESSAGE_BYTES, MSG_NOSIGNAL) != MESSAGE_BYTES) die("send");
}

static void uds_receive(struct side *side, struct message *message) {
  if (recv(side->in_fd, message, MESSAGE_BYTES, MSG_WAITALL) != MESSAGE_BYTES) die("the peer did not answer");
}

static const struct method methods[] = {
    {"spin", spin_send, spin_receive},
    {"futex", futex_send, futex_receive},
    {"eventfd", eventfd_send, eventfd_receive},
    {"uds", uds_send, uds_receive},
};

static void open_sides(const struct method *method, struct shared *shared, struct side sides[2]) {
  int fds[2] = {-1, -1};
  if (method->send == uds_send) {
    const struct timeval limit = {WAIT_LIMIT_NS / 1000000000ull, 0};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) die("socketpair");
    for (int i = 0; i < 2; i++) setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  } else if (method->send == eventfd_send) {
    for (int i = 0; i < 2; i++) {
      if ((fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0) die("eventfd");
    }
  }
  for (int i = 0; i < 2; i++) {
    /* A socket is sent to at its own end; an eventfd is rung at the peer's. */
    int out_fd = method->send == uds_send ? fds[i] : fds[1 - i];
    sides[i] = (struct side){&shared->slots[1 - i], &shared->slots[i], out_fd, fds[i], -1};
    if (method->send != eventfd_send) continue;
    struct epoll_event event = {.events = EPOLLIN};
    if ((sides[i].epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0) die("epoll_create1");
    if (epoll_ctl(sides[i].epoll_fd, EPOLL_CTL_ADD, fds[i], &event) != 0) die("epoll_ctl");
  }
}

static void check(const struct message *message, uint64_t sequence) {
  errno = 0;
  if (message->sequence != sequence || message->check != ~sequence) die("a message arrived damaged");
}

static void echo(const struct method *method, struct side *side, struct shared *shared) {
  struct message message = {0};
  uint64_t cpu_before = cpu_ns();
  for (uint64_t sequence = 1;; sequence++) {
    method->receive(side, &message);
    check(&message, sequence);
    if (message.kind == FIRST) cpu_before = cpu_ns();
    if (message.kind == STOP) shared->peer_cpu_ns = cpu_ns() - cpu_before;
    method->send(side, &message);
    if (message.kind == STOP) return;
  }
}

static uint64_t round_trip(const struct method *method, struct side *side, uint64_t *sequence, enum kind kind) {
  static struct message reply; /* keeps the sequence of the reply before */
  struct message message = {.sequence = ++*sequence, .kind = kind, .check = ~*sequence};
  uint64_t sent = now_ns();
  method->send(side, &message);
  method->receive(side, &reply);
  uint64_t elapsed = now_ns() - sent;
  check(&reply, *sequence);
  return elapsed;
}

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* Sleeps until the next multiple of the interval after `start`. */
static void pace(uint64_t *next, uint64_t interval_ns) {
  if (interval_ns == 0) return;
  uint64_t now = now_ns();
  *next = *next + interval_ns > now ? *next + interval_ns : now + interval_ns;
  struct timespec until = {(time_t)(*next / 1000000000ull), (long)(*next % 1000000000ull)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) continue;
}

static void measure_round_trips(const struct method *method, struct side *side, struct shared *shared,
                                uint64_t duration_ns, uint64_t interval_ns) {
  uint32_t *samples = malloc(MAX_SAMPLES * sizeof *samples);
  if (samples == NULL) die("malloc");
  uint64_t sequence = 0, count = 0, next = now_ns();
  for (uint64_t end = now_ns() + duration_ns / 5; now_ns() < end;) {
    pace(&next, interval_ns);
    round_trip(method, side, &sequence, WARM_UP);
  }
  uint64_t cpu_before = cpu_ns(), start = now_ns();
  for (uint64_t end = start + duration_ns; count < MAX_SAMPLES && now_ns() < end; count++) {
    pace(&next, interval_ns);
    samples[count] = (uint32_t)round_trip(method, side, &sequence, count == 0 ? FIRST : PLAIN);
  }
  uint64_t elapsed = now_ns() - start, cpu = cpu_ns() - cpu_before;
  round_trip(method, side, &sequence, STOP);
  cpu += shared->peer_cpu_ns;
  qsort(samples, count, sizeof *samples, by_value);
  printf("{\"method\":\"%s\",\"size\":%d,\"count\":%llu,\"p50_us\":%.3f,\"p99_us\":%.3f,"
         "\"msgs_per_s\":%.0f,\"cpu_us_per_msg\":%.4f}\n",
         method->name, MESSAGE_BYTES, (unsigned long long)count, samples[count / 2] / 1e3,
         samples[count * 99 / 100] / 1e3, (double)count * 1e9 / (double)elapsed, (double)cpu / 1e3 / (double)count);
  free(samples);
}

static const struct method *find_method(const char *name) {
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    if (strcmp(methods[i].name, name) == 0) return &methods[i];
  }
  return NULL;
}

int round_trips(struct shared *shared, const char *name, uint64_t duration_ns, uint64_t interval_ns) {
  const struct method *method = find_method(name);
  if (method == NULL) return 2;
  struct side sides[2];
  open_sides(method, shared, sides);
  if (start_peer(method->send == spin_send)) {
    echo(method, &sides[1], shared);
    return 0;
  }
  measure_round_trips(method, &sides[0], shared, duration_ns, interval_ns);
  return reap_peer();
}
