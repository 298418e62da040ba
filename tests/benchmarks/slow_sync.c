/* Makes a fast disk as slow as the one that a goal was written for: with this in LD_PRELOAD, each
   fsync and fdatasync is done, and takes at least SYNC_NANOSECONDS. While it waits it leaves the
   processor alone, as a disk does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

static int slowly(const char *name, int file) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += atol(getenv("SYNC_NANOSECONDS"));
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    int done = ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
    prctl(PR_SET_TIMERSLACK, 1);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    return done;
}

int fsync(int file) { return slowly("fsync", file); }
int fdatasync(int file) { return slowly("fdatasync", file); }
