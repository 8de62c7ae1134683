/* Loaded before a program's own libraries (LD_PRELOAD): its calendar is AHEAD_S seconds ahead of
 * the machine's, and its monotonic clocks are the machine's. A wait that has its end in calendar
 * time, which the program made with that calendar, ends when it should. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

typedef int (*timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

static long ahead_s;
static timedwait real_timedwait;
static int (*real_cnd_timedwait)(cnd_t *, mtx_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void) {
  const char *text = getenv("AHEAD_S");
  ahead_s = text ? atol(text) : 0;
  /* A plain look-up may find the oldest version, which has another kind of pthread_cond_t. */
  real_timedwait = (timedwait)dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
  if (!real_timedwait) real_timedwait = (timedwait)dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  real_cnd_timedwait = dlsym(RTLD_NEXT, "cnd_timedwait");
}

/* Monotonic time is nowhere near 2001. */
static struct timespec real(struct timespec end) {
  if (end.tv_sec > 1000000000) end.tv_sec -= ahead_s;
  return end;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = (int)syscall(SYS_clock_gettime, clock, now);
  int is_calendar = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (!failed && is_calendar) now->tv_sec += ahead_s;
  return failed;
}

int timespec_get(struct timespec *now, int base) {
  return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec exact;
  (void)zone;
  int failed = clock_gettime(CLOCK_REALTIME, &exact);
  if (!failed) *now = (struct timeval){exact.tv_sec, exact.tv_nsec / 1000};
  return failed;
}

time_t time(time_t *now) {
  struct timespec exact;
  clock_gettime(CLOCK_REALTIME, &exact);
  if (now) *now = exact.tv_sec;
  return exact.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                           const struct timespec *end) {
  struct timespec real_end = real(*end);
  return real_timedwait(cond, mutex, &real_end);
}

int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *end) {
  struct timespec real_end = real(*end);
  return real_cnd_timedwait(cond, mutex, &real_end);
}
