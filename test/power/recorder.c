/* Loaded into a process before everything else (LD_PRELOAD), it writes down what the process does to the files under
 * POWER_FOLDER: each write with its data, and when each fsync begins and ends. The records go to the end of POWER_JOURNAL,
 * which any number of processes share; disk.ts reads them and says what a disk could hold after a power cut.
 *
 * A call is recorded once the kernel has done it and before the caller hears of it. So whatever a process does because of
 * a call stands behind that call in the journal, also if another process does it. Memory that processes share (SQLite's
 * -shm files) is no part of what a disk keeps, and is not followed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAX_PATH = 4096, MAX_FILES = 1 << 16 };

/* Little-endian, followed by `length` bytes. */
struct record {
  uint32_t kind;
  uint32_t thread;
  uint64_t file; /* its inode */
  uint64_t offset;
  uint64_t length;
};

static int journal = -1;
static const char *folder;
static size_t folder_length;

/* The inode of what each descriptor has open; 0: nothing that is followed. */
static uint64_t followed[MAX_FILES];

/* The function that ours stands before. */
#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, #name); real; })

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("POWER_JOURNAL");
  folder = getenv("POWER_FOLDER");
  if (!path || !folder) return;
  folder_length = strlen(folder);
  journal = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (journal < 0) abort();
}

/* One call, so that records of several threads and processes do not mix. */
static void record(char kind, uint64_t file, uint64_t offset, const void *data, size_t length) {
  struct record head = {(uint32_t)kind, (uint32_t)syscall(SYS_gettid), file, offset, length};
  struct iovec parts[] = {{&head, sizeof head}, {(void *)data, length}};
  int kept = errno;
  if (syscall(SYS_writev, journal, parts, 2) != (long)(sizeof head + length)) abort();
  errno = kept;
}

static int is_followed_path(const char *path) {
  size_t length = strlen(path);
  if (journal < 0 || strncmp(path, folder, folder_length) != 0 || (path[folder_length] != '/' && path[folder_length] != 0)) return 0;
  return length < 4 || strcmp(path + length - 4, "-shm") != 0;
}

static uint64_t file_of(int fd) {
  return fd >= 0 && fd < MAX_FILES ? followed[fd] : 0;
}

static int opened(int fd, int flags, int existed) {
  char link[64], path[MAX_PATH];
  struct stat stat;
  ssize_t length;
  if (journal < 0 || fd < 0 || fd >= MAX_FILES) return fd;
  followed[fd] = 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  length = readlink(link, path, sizeof path - 1);
  if (length < 0) return fd;
  path[length] = 0;
  if (!is_followed_path(path) || fstat(fd, &stat) != 0) return fd;
  followed[fd] = stat.st_ino;
  if (S_ISDIR(stat.st_mode)) record('D', stat.st_ino, 0, path, length);
  else if (!existed) record('C', stat.st_ino, 0, path, length);
  else if (flags & O_TRUNC) record('T', stat.st_ino, 0, NULL, 0);
  return fd;
}

#define HAS_MODE(flags) ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE)

#define OPEN(name)                                                                        \
  int name(const char *path, int flags, ...) {                                            \
    va_list rest;                                                                         \
    va_start(rest, flags);                                                                \
    mode_t mode = HAS_MODE(flags) ? va_arg(rest, mode_t) : 0;                             \
    va_end(rest);                                                                         \
    int existed = journal < 0 || !(flags & O_CREAT) || access(path, F_OK) == 0;           \
    return opened(REAL(name)(path, flags, mode), flags, existed);                         \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                      \
  int name(int at, const char *path, int flags, ...) {                                    \
    va_list rest;                                                                         \
    va_start(rest, flags);                                                                \
    mode_t mode = HAS_MODE(flags) ? va_arg(rest, mode_t) : 0;                             \
    va_end(rest);                                                                         \
    int existed = journal < 0 || !(flags & O_CREAT) || faccessat(at, path, F_OK, 0) == 0; \
    return opened(REAL(name)(at, path, flags, mode), flags, existed);                     \
  }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
  if (fd >= 0 && fd < MAX_FILES) followed[fd] = 0;
  return REAL(close)(fd);
}

static void wrote(int fd, const struct iovec *parts, int count, ssize_t done, off64_t offset) {
  uint64_t file = file_of(fd);
  if (!file) return;
  for (int i = 0; i < count && done > 0; i++) {
    size_t length = (size_t)done < parts[i].iov_len ? (size_t)done : parts[i].iov_len;
    record('W', file, offset, parts[i].iov_base, length);
    offset += length;
    done -= length;
  }
}

/* Where the next write without an offset of its own goes. */
static off64_t position(int fd) {
  return file_of(fd) ? lseek64(fd, 0, SEEK_CUR) : 0;
}

ssize_t write(int fd, const void *data, size_t length) {
  struct iovec part = {(void *)data, length};
  off64_t offset = position(fd);
  ssize_t done = REAL(write)(fd, data, length);
  wrote(fd, &part, 1, done, offset);
  return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  off64_t offset = position(fd);
  ssize_t done = REAL(writev)(fd, parts, count);
  wrote(fd, parts, count, done, offset);
  return done;
}

#define PWRITE(name, offset_type)                                                         \
  ssize_t name(int fd, const void *data, size_t length, offset_type offset) {             \
    struct iovec part = {(void *)data, length};                                           \
    ssize_t done = REAL(name)(fd, data, length, offset);                                  \
    wrote(fd, &part, 1, done, offset);                                                    \
    return done;                                                                          \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PWRITEV(name, offset_type)                                                        \
  ssize_t name(int fd, const struct iovec *parts, int count, offset_type offset) {        \
    ssize_t done = REAL(name)(fd, parts, count, offset);                                  \
    wrote(fd, parts, count, done, offset);                                                \
    return done;                                                                          \
  }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

#define TRUNCATE(name, offset_type)                                                       \
  int name(int fd, offset_type size) {                                                    \
    int failed = REAL(name)(fd, size);                                                    \
    if (!failed && file_of(fd)) record('T', file_of(fd), size, NULL, 0);                  \
    return failed;                                                                        \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

/* What was written before it begins is on the disk when it has ended. */
#define SYNC(name)                                                                        \
  int name(int fd) {                                                                      \
    uint64_t file = file_of(fd);                                                          \
    if (file) record('B', file, 0, NULL, 0);                                              \
    int failed = REAL(name)(fd);                                                          \
    if (file && !failed) record('E', file, 0, NULL, 0);                                   \
    return failed;                                                                        \
  }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
  int failed = REAL(unlink)(path);
  if (!failed && is_followed_path(path)) record('U', 0, 0, path, strlen(path));
  return failed;
}

int mkdir(const char *path, mode_t mode) {
  int failed = REAL(mkdir)(path, mode);
  if (!failed && is_followed_path(path)) record('M', 0, 0, path, strlen(path));
  return failed;
}
