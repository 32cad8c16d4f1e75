/* Preloaded into gitbatch and its git processes: every call that changes a file below one of two folders, or opens one
   there, is counted over all processes in one shared page. At the call that a trial wants, and if it says so at every
   later one, the call is not made: it fails with the trial's error, as it does when a disk is broken or full. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ONCE = 1, FROM_THERE_ON = 2 };

struct page {
    unsigned count;  /* calls so far */
    unsigned at;     /* the call that fails; 0: none */
    unsigned mode;   /* one of the above */
    unsigned failed; /* how many have failed */
    int gitbatch;    /* the process that counts as gitbatch; 0: nothing is counted */
    int record;      /* whether each call is written to the log */
    char where[232]; /* the first call that failed */
    int error;       /* the error */
    char below[2][1024];
    char only[256];  /* if it says anything: only calls in whose record it stands are counted */
};

static struct page *page;
static int is_git;

__attribute__((constructor)) static void begin(void)
{
    char exe[256] = "";
    const char *name = getenv("FAULTS_PAGE");
    int fd = name ? syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *found = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (found != MAP_FAILED)
        page = found;
    readlink("/proc/self/exe", exe, sizeof exe - 1);
    is_git = strstr(exe, "python") == NULL;
}

static void record(const char *line)
{
    char name[512];
    snprintf(name, sizeof name, "%s.log", getenv("FAULTS_PAGE"));
    int fd = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND, 0600);
    syscall(SYS_write, fd, line, strlen(line));
    syscall(SYS_close, fd);
}

static int is_below(const char *path)
{
    for (int i = 0; i < 2; i++) {
        size_t length = strlen(page->below[i]);
        if (length && !strncmp(path, page->below[i], length) && (path[length] == '/' || !path[length]))
            return 1;
    }
    return 0;
}

/* Whether a call fails; `path` is absolute. */
static int fails(const char *what, const char *path)
{
    char said[PATH_MAX + 64];
    if (!is_below(path))
        return 0;
    snprintf(said, sizeof said, "%s %s %s\n", is_git ? "git" : "gitbatch", what, path);
    if (page->only[0] && !strstr(said, page->only))
        return 0;
    unsigned number = __atomic_add_fetch(&page->count, 1, __ATOMIC_SEQ_CST);
    if (page->record)
        record(said);
    if (!page->at || number < page->at || (page->mode == ONCE && number > page->at))
        return 0;
    if (!__atomic_fetch_add(&page->failed, 1, __ATOMIC_SEQ_CST))
        snprintf(page->where, sizeof page->where, "%.*s", (int)strlen(said) - 1, said);
    errno = page->error;
    return 1;
}

static int is_asked(void)
{
    return page && page->gitbatch && (is_git || getpid() == page->gitbatch);
}

static int fails_at_fd(const char *what, int fd)
{
    char link[64], path[PATH_MAX];
    struct stat status;
    if (!is_asked() || fstat(fd, &status) || !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    return fails(what, path);
}

static int fails_at_path(const char *what, int at, const char *name)
{
    char link[64], path[PATH_MAX];
    if (!is_asked())
        return 0;
    if (name[0] == '/')
        return fails(what, name);
    if (at == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0)
        return 0;
    snprintf(path + size, sizeof path - size, "/%s", name);
    return fails(what, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* To open a file that is only read can fail too, but there it is only ever the disk that can't be read. */
static int fails_to_open(int at, const char *path, int flags)
{
    int writes = flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC);
    if (!is_asked() || (!writes && page->error != EIO))
        return 0;
    return fails_at_path(writes ? "open" : "open-to-read", at, path);
}

#define OPEN(name, at, parameters, call)                                                                      \
    int name parameters                                                                                       \
    {                                                                                                         \
        va_list rest;                                                                                         \
        va_start(rest, flags);                                                                                \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;                             \
        va_end(rest);                                                                                         \
        return fails_to_open(at, path, flags) ? -1 : call;                                                    \
    }

OPEN(open, AT_FDCWD, (const char *path, int flags, ...), REAL(open)(path, flags, mode))
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), REAL(open64)(path, flags, mode))
OPEN(openat, at, (int at, const char *path, int flags, ...), REAL(openat)(at, path, flags, mode))
OPEN(openat64, at, (int at, const char *path, int flags, ...), REAL(openat64)(at, path, flags, mode))

/* What a program calls that was compiled to check the arguments. */
#define OPEN_CHECKED(name, parameters, at, instead)                                                           \
    int name parameters                                                                                       \
    {                                                                                                         \
        return fails_to_open(at, path, flags) ? -1 : instead;                                                 \
    }

OPEN_CHECKED(__open_2, (const char *path, int flags), AT_FDCWD, REAL(open)(path, flags))
OPEN_CHECKED(__open64_2, (const char *path, int flags), AT_FDCWD, REAL(open64)(path, flags))
OPEN_CHECKED(__openat_2, (int at, const char *path, int flags), at, REAL(openat)(at, path, flags))
OPEN_CHECKED(__openat64_2, (int at, const char *path, int flags), at, REAL(openat64)(at, path, flags))

#define ON_PATH(name, parameters, arguments, at, path)                                                        \
    int name parameters                                                                                       \
    {                                                                                                         \
        return fails_at_path(#name, at, path) ? -1 : REAL(name) arguments;                                    \
    }

ON_PATH(rename, (const char *a, const char *b), (a, b), AT_FDCWD, b)
ON_PATH(renameat, (int x, const char *a, int y, const char *b), (x, a, y, b), y, b)
ON_PATH(renameat2, (int x, const char *a, int y, const char *b, unsigned f), (x, a, y, b, f), y, b)
ON_PATH(link, (const char *a, const char *b), (a, b), AT_FDCWD, b)
ON_PATH(linkat, (int x, const char *a, int y, const char *b, int f), (x, a, y, b, f), y, b)
ON_PATH(symlink, (const char *a, const char *b), (a, b), AT_FDCWD, b)
ON_PATH(symlinkat, (const char *a, int y, const char *b), (a, y, b), y, b)
ON_PATH(unlink, (const char *a), (a), AT_FDCWD, a)
ON_PATH(unlinkat, (int x, const char *a, int f), (x, a, f), x, a)
ON_PATH(mkdir, (const char *a, mode_t m), (a, m), AT_FDCWD, a)
ON_PATH(mkdirat, (int x, const char *a, mode_t m), (x, a, m), x, a)
ON_PATH(rmdir, (const char *a), (a), AT_FDCWD, a)
ON_PATH(chmod, (const char *a, mode_t m), (a, m), AT_FDCWD, a)
ON_PATH(fchmodat, (int x, const char *a, mode_t m, int f), (x, a, m, f), x, a)
ON_PATH(truncate, (const char *a, off_t n), (a, n), AT_FDCWD, a)
ON_PATH(truncate64, (const char *a, off64_t n), (a, n), AT_FDCWD, a)

#define ON_FD(type, name, parameters, arguments, fd)                                                          \
    type name parameters                                                                                      \
    {                                                                                                         \
        return fails_at_fd(#name, fd) ? -1 : REAL(name) arguments;                                            \
    }

ON_FD(int, fsync, (int fd), (fd), fd)
ON_FD(int, fdatasync, (int fd), (fd), fd)
ON_FD(int, fchmod, (int fd, mode_t m), (fd, m), fd)
ON_FD(int, ftruncate, (int fd, off_t n), (fd, n), fd)
ON_FD(int, ftruncate64, (int fd, off64_t n), (fd, n), fd)
ON_FD(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, n), fd)
ON_FD(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t o), (fd, data, n, o), fd)
ON_FD(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t o), (fd, data, n, o), fd)
ON_FD(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), fd)
ON_FD(ssize_t, splice, (int a, off64_t *i, int fd, off64_t *o, size_t n, unsigned f), (a, i, fd, o, n, f), fd)
ON_FD(ssize_t, sendfile, (int fd, int a, off_t *o, size_t n), (fd, a, o, n), fd)
ON_FD(ssize_t, sendfile64, (int fd, int a, off64_t *o, size_t n), (fd, a, o, n), fd)
ON_FD(ssize_t, copy_file_range, (int a, off64_t *i, int fd, off64_t *o, size_t n, unsigned f),
      (a, i, fd, o, n, f), fd)
