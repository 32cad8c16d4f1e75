/* Preloaded into gitbatch and its gits: every call that could change a disk is a step, counted over all of them
   in one shared page; at the step that a trial wants, someone is killed. Nothing else changes. The processes of the
   launcher are counted for themselves, and wait at that step: some are in a namespace where nobody has a number. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVERYTHING = 1, GITBATCH = 2, GIT = 3 };

struct page {
    unsigned count;  /* steps so far */
    unsigned at;     /* the step to kill at; 0: none */
    unsigned victim; /* one of the above */
    unsigned killed; /* whether it has been done */
    int gitbatch;    /* the process that counts as gitbatch; 0: nothing is counted */
    int record;      /* whether each step is written to the log */
    char where[232]; /* what the killing step was */
};

struct launcher {
    unsigned count;
    unsigned at;
    unsigned waits; /* whether that step is reached: our server kills, then sets this to 0 */
    char where[112];
};
enum { LAUNCHER_AT = 3072 };

static struct page *page;
static struct launcher *launcher;
static int is_git, is_launcher;

static void attach(void)
{
    const char *name = getenv("FAULTS_PAGE");
    int fd = name ? syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *found = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (found != MAP_FAILED) {
        page = found;
        launcher = (void *)((char *)found + LAUNCHER_AT);
    }
}

static void record(unsigned number, const char *what, const char *path)
{
    char line[512], name[512];
    snprintf(name, sizeof name, "%s.log", getenv("FAULTS_PAGE"));
    int size = snprintf(line, sizeof line, "%u %s %s %s\n", number, is_git ? "git" : "gitbatch", what, path);
    int fd = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND, 0600);
    syscall(SYS_write, fd, line, size < (int)sizeof line ? size : (int)sizeof line - 1);
    syscall(SYS_close, fd);
}

static void launcher_step(const char *what, const char *path)
{
    if (__atomic_add_fetch(&launcher->count, 1, __ATOMIC_SEQ_CST) != launcher->at)
        return;
    snprintf(launcher->where, sizeof launcher->where, "launcher: %s %s", what, path);
    __atomic_store_n(&launcher->waits, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&launcher->waits, __ATOMIC_SEQ_CST))
        usleep(500);
}

static void step(const char *what, const char *path)
{
    if (page && is_launcher)
        launcher_step(what, path);
    if (!page || !page->gitbatch || (!is_git && getpid() != page->gitbatch))
        return;
    unsigned number = __atomic_add_fetch(&page->count, 1, __ATOMIC_SEQ_CST);
    if (page->record)
        record(number, what, path);
    if (number != page->at || (page->victim == GIT && !is_git))
        return;
    snprintf(page->where, sizeof page->where, "%s: %s %s", is_git ? "git" : "gitbatch", what, path);
    page->killed = 1;
    pid_t self = getpgrp() == getpgid(page->gitbatch) ? getpid() : 0; /* 0: with the gits that it has started */
    if (page->victim != GIT)
        kill(page->gitbatch, SIGKILL);
    if (is_git && page->victim != GITBATCH)
        kill(self, SIGKILL);
}

__attribute__((constructor)) static void begin(void)
{
    char name[256] = "";
    attach();
    readlink("/proc/self/exe", name, sizeof name - 1);
    is_git = strstr(name, "python") == NULL;
    int fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t size = syscall(SYS_read, fd, name, sizeof name - 1);
    syscall(SYS_close, fd);
    is_launcher = size > 0 && memmem(name, size, "launcher.server", 15);
    if (is_git)
        step("start", "");
}

__attribute__((destructor)) static void end(void)
{
    if (is_git)
        step("exit", "");
}

static int is_device(const char *path)
{
    return !strncmp(path, "/dev/", 5) && strncmp(path, "/dev/shm/", 9);
}

static void step_fd(const char *what, int fd)
{
    struct stat status;
    char inode[32];
    if (fd > 2 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        snprintf(inode, sizeof inode, "%lu", (unsigned long)status.st_ino);
        step(what, inode);
    }
}

/* A file gets a name: the log has which file, to be found among those that were written and brought to the disk. */
static void step_name(const char *what, int at, const char *file, const char *name)
{
    struct stat status = {0};
    char said[400];
    fstatat(at, file, &status, AT_SYMLINK_NOFOLLOW);
    snprintf(said, sizeof said, "%lu %s", (unsigned long)status.st_ino, name);
    step(what, said);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN(name, parameters, call)                                                                      \
    int name parameters                                                                                    \
    {                                                                                                        \
        va_list rest;                                                                                        \
        va_start(rest, flags);                                                                               \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                              \
        va_end(rest);                                                                                        \
        if ((flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) && !is_device(path))                           \
            step("open", path);                                                                              \
        return call;                                                                                         \
    }

OPEN(open, (const char *path, int flags, ...), REAL(open)(path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), REAL(open64)(path, flags, mode))
OPEN(openat, (int at, const char *path, int flags, ...), REAL(openat)(at, path, flags, mode))
OPEN(openat64, (int at, const char *path, int flags, ...), REAL(openat64)(at, path, flags, mode))

#define STEP(type, name, parameters, arguments, path)                                                        \
    type name parameters                                                                                     \
    {                                                                                                        \
        step(#name, path);                                                                                   \
        return REAL(name) arguments;                                                                         \
    }

#define STEP_NAME(name, parameters, arguments, at, file, to)                                                 \
    int name parameters                                                                                      \
    {                                                                                                        \
        step_name(#name, at, file, to);                                                                      \
        return REAL(name) arguments;                                                                         \
    }

STEP_NAME(rename, (const char *a, const char *b), (a, b), AT_FDCWD, a, b)
STEP_NAME(renameat, (int x, const char *a, int y, const char *b), (x, a, y, b), x, a, b)
STEP_NAME(link, (const char *a, const char *b), (a, b), AT_FDCWD, a, b)
STEP_NAME(linkat, (int x, const char *a, int y, const char *b, int f), (x, a, y, b, f), x, a, b)
STEP(int, symlink, (const char *a, const char *b), (a, b), b)
STEP(int, unlink, (const char *a), (a), a)
STEP(int, unlinkat, (int x, const char *a, int f), (x, a, f), a)
STEP(int, mkdir, (const char *a, mode_t m), (a, m), a)
STEP(int, mkdirat, (int x, const char *a, mode_t m), (x, a, m), a)
STEP(int, rmdir, (const char *a), (a), a)

/* What only the launcher does, or what would be counted twice elsewhere. */
#define LAUNCHER_STEP(type, name, parameters, arguments, path)                                               \
    type name parameters                                                                                     \
    {                                                                                                        \
        if (is_launcher)                                                                                     \
            step(#name, path);                                                                               \
        return REAL(name) arguments;                                                                         \
    }

LAUNCHER_STEP(int, mount, (const char *a, const char *b, const char *c, unsigned long f, const void *d), (a, b, c, f, d), b)
LAUNCHER_STEP(int, unshare, (int flags), (flags), "")
LAUNCHER_STEP(pid_t, fork, (void), (), "")
LAUNCHER_STEP(int, execv, (const char *a, char *const b[]), (a, b), a)
LAUNCHER_STEP(int, posix_spawn,
              (pid_t *p, const char *a, const posix_spawn_file_actions_t *f, const posix_spawnattr_t *t,
               char *const b[], char *const e[]),
              (p, a, f, t, b, e), a)

int fsync(int fd)
{
    step_fd("fsync", fd);
    return REAL(fsync)(fd);
}

ssize_t write(int fd, const void *data, size_t size)
{
    step_fd("write", fd);
    return REAL(write)(fd, data, size);
}

pid_t waitpid(pid_t pid, int *status, int options)
{
    pid_t ended = REAL(waitpid)(pid, status, options);
    if (ended > 0)
        step("waited", "");
    return ended;
}
