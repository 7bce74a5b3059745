#include "limits.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SPINS_PER_CLOCK_READ 65536

bool one_cpu;
static pid_t child_pid;

void die(const char *what) {
  fprintf(stderr, "limits: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
  if (child_pid > 0) kill(child_pid, SIGKILL);
  exit(1);
}

uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

uint64_t cpu_ns(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * 1000000000ull +
         ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000ull;
}

static void relax(void) {
  if (one_cpu) {
    sched_yield();
    return;
  }
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

void spin_once(struct patience *patience) {
  relax();
  if (++patience->turns % SPINS_PER_CLOCK_READ != 0) return;
  uint64_t now = now_ns();
  if (patience->deadline == 0) patience->deadline = now + WAIT_LIMIT_NS;
  if (now > patience->deadline) {
    errno = 0;
    die("the peer did not answer");
  }
}

/* Those that spin get a CPU each. Those that sleep are left to the scheduler, as
 * Node processes are: it often wakes the peer on the same CPU, which costs far
 * less than waking another CPU from idle. */
static void use_cpu(int index) {
  cpu_set_t allowed, chosen;
  if (one_cpu || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &allowed) || index-- > 0) continue;
    CPU_ZERO(&chosen);
    CPU_SET(cpu, &chosen);
    sched_setaffinity(0, sizeof chosen, &chosen);
    return;
  }
}

bool start_peer(bool pinned) {
  fflush(stdout);
  pid_t parent = getpid(), pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) exit(1);
  } else {
    child_pid = pid;
  }
  if (pinned) use_cpu(pid == 0 ? 1 : 0);
  return pid == 0;
}

int reap_peer(void) {
  int status = 0;
  while (waitpid(child_pid, &status, 0) < 0 && errno == EINTR) continue;
  return status == 0 ? 0 : 1;
}
