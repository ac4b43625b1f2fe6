/*
 * Disk faults for tests of whole programs, through LD_PRELOAD (glibc, Linux).
 *
 * The environment variable FAULT_SHIM names a control file. While it exists, each of its lines is a
 * rule: a part of a path, an operation, and an errno or a number. It is read at every call, so a test
 * turns faults on and off by writing and removing it.
 *
 *   /wal/ fsync EIO        fsync and fdatasync fail
 *   /wal/ write EIO        every write fails
 *   /wal/ grow ENOSPC      a write stops at the end of the file; one that starts there fails
 *   /wal/ short 100        a write takes at most 100 bytes
 *   /wal/ truncate EIO     ftruncate fails
 *   /wal/ create ENOSPC    open with O_CREAT of a file that does not exist fails
 *
 * A rule is for files whose path contains its first word. Rules for one file are tried in order.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int errno_of(const char *name) {
  if (strcmp(name, "ENOSPC") == 0) return ENOSPC;
  if (strcmp(name, "EDQUOT") == 0) return EDQUOT;
  if (strcmp(name, "EROFS") == 0) return EROFS;
  return EIO;
}

/* The control file by plain system calls: the wrappers below must not meet themselves. */
static int read_rules(char *text, size_t size) {
  const char *path = getenv("FAULT_SHIM");
  if (path == NULL) return 0;
  int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return 0;
  ssize_t length = syscall(SYS_read, fd, text, size - 1);
  syscall(SYS_close, fd);
  text[length > 0 ? length : 0] = '\0';
  return length > 0;
}

/* Finds the rule for an operation on a path; its last word goes to `value`. errno is kept. */
static int rule_for(const char *path, const char *operation, char value[32]) {
  int saved = errno;
  char text[4096];
  int found = 0;
  if (read_rules(text, sizeof text)) {
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL && !found;
         line = strtok_r(NULL, "\n", &rest)) {
      char part[1024], what[32];
      if (sscanf(line, "%1023s %31s %31s", part, what, value) != 3) continue;
      found = strcmp(what, operation) == 0 && strstr(path, part) != NULL;
    }
  }
  errno = saved;
  return found;
}

static int rule_of(int fd, const char *operation, char value[32]) {
  if (getenv("FAULT_SHIM") == NULL) return 0;
  int saved = errno;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  errno = saved;
  if (length <= 0 || path[0] != '/') return 0;
  path[length] = '\0';
  return rule_for(path, operation, value);
}

/* How many of `count` bytes may be written at `offset` (-1: at the file's own); -1 sets errno. */
static ssize_t allowed(int fd, size_t count, off_t offset) {
  char value[32];
  if (rule_of(fd, "write", value)) {
    errno = errno_of(value);
    return -1;
  }
  if (rule_of(fd, "grow", value)) {
    struct stat file;
    if (offset < 0) offset = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    if (offset >= 0 && fstat(fd, &file) == 0 && offset + (off_t)count > file.st_size) {
      if (offset >= file.st_size) {
        errno = errno_of(value);
        return -1;
      }
      count = (size_t)(file.st_size - offset);
    }
  }
  if (rule_of(fd, "short", value) && count > strtoul(value, NULL, 10)) {
    count = strtoul(value, NULL, 10);
  }
  return (ssize_t)count;
}

static size_t total(const struct iovec *parts, int count) {
  size_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += parts[i].iov_len;
  return bytes;
}

ssize_t write(int fd, const void *bytes, size_t count) {
  ssize_t length = allowed(fd, count, -1);
  return length < 0 ? -1 : REAL(write)(fd, bytes, (size_t)length);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  ssize_t length = allowed(fd, count, offset);
  return length < 0 ? -1 : REAL(pwrite)(fd, bytes, (size_t)length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  ssize_t length = allowed(fd, count, offset);
  return length < 0 ? -1 : REAL(pwrite64)(fd, bytes, (size_t)length, offset);
}

/* A vector that may not go whole is cut within its first part: a short write like any other. */
static ssize_t cut(ssize_t length, const struct iovec *parts) {
  return length < (ssize_t)parts[0].iov_len ? length : (ssize_t)parts[0].iov_len;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  size_t bytes = total(parts, count);
  ssize_t length = allowed(fd, bytes, -1);
  if (length < 0) return -1;
  if (length == (ssize_t)bytes) return REAL(writev)(fd, parts, count);
  return REAL(write)(fd, parts[0].iov_base, (size_t)cut(length, parts));
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  size_t bytes = total(parts, count);
  ssize_t length = allowed(fd, bytes, offset);
  if (length < 0) return -1;
  if (length == (ssize_t)bytes) return REAL(pwritev)(fd, parts, count, offset);
  return REAL(pwrite)(fd, parts[0].iov_base, (size_t)cut(length, parts), offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  return pwritev(fd, parts, count, offset);
}

static int fails(int fd, const char *operation) {
  char value[32];
  if (!rule_of(fd, operation, value)) return 0;
  errno = errno_of(value);
  return 1;
}

int fsync(int fd) { return fails(fd, "fsync") ? -1 : REAL(fsync)(fd); }

int fdatasync(int fd) { return fails(fd, "fsync") ? -1 : REAL(fdatasync)(fd); }

int ftruncate(int fd, off_t length) {
  return fails(fd, "truncate") ? -1 : REAL(ftruncate)(fd, length);
}

int ftruncate64(int fd, off64_t length) {
  return fails(fd, "truncate") ? -1 : REAL(ftruncate64)(fd, length);
}

static int create_fails(const char *path, int flags) {
  char value[32];
  if (!(flags & O_CREAT) || getenv("FAULT_SHIM") == NULL) return 0;
  if (syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0) return 0;
  if (!rule_for(path, "create", value)) return 0;
  errno = errno_of(value);
  return 1;
}

#define MODE(flags, mode)                                 \
  mode_t mode = 0;                                        \
  if ((flags) & (O_CREAT | O_TMPFILE)) {                  \
    va_list more;                                         \
    va_start(more, flags);                                \
    mode = (mode_t)va_arg(more, int);                     \
    va_end(more);                                         \
  }

int open(const char *path, int flags, ...) {
  MODE(flags, mode)
  return create_fails(path, flags) ? -1 : REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  MODE(flags, mode)
  return create_fails(path, flags) ? -1 : REAL(open64)(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...) {
  MODE(flags, mode)
  return create_fails(path, flags) ? -1 : REAL(openat)(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) {
  MODE(flags, mode)
  return create_fails(path, flags) ? -1 : REAL(openat64)(dir, path, flags, mode);
}
