/* Preloaded into the program under test: writes down, in their order, all calls that change files below POWER_ROOT, and has
 * some of them fail.
 *
 * The log (POWER_LOG) is a sequence of records, as tests/it/power/log.rs reads them; what is done and its record are under one lock,
 * so that the order of the records is the order in which the kernel saw the calls. The faults (POWER_FAULTS) are a struct in a
 * file, which the test writes while the program runs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    CREATE, TRUNCATE, WRITE, SYNC, SYNC_DIRECTORY, RENAME, LINK, UNLINK, MAKE_DIRECTORY, REMOVE_DIRECTORY, ALLOCATE, SOCKET,
    MARK, LOST_SYNC, OPEN, MAP, KINDS
};

struct record {
    uint32_t kind, path_bytes, target_bytes, data_bytes;
    uint64_t inode, offset;
};

/* See Faults in tests/it/power/faults.rs. */
struct faults {
    /* Which kinds fail: a bit for each. 0: none. */
    uint32_t kinds;
    /* The first call that fails, counted from 1; and whether those after it do as well. */
    uint32_t first, goes_on;
    uint32_t error;
    /* Whether a write takes half of its bytes before it fails. */
    uint32_t is_partial;
    /* Calls of these kinds that were seen, and that failed. */
    uint32_t seen, failed;
    uint32_t unused;
    /* What the path must hold. */
    char path[64];
};

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static char root[PATH_MAX];
static size_t root_bytes;
static int log_file = -1;
static int skips_syncs;
static struct faults *faults;

/* The real function. */
#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static void enter(void) { pthread_mutex_lock(&lock); }

static void leave(void) { pthread_mutex_unlock(&lock); }

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("POWER_ROOT");
    if (path && realpath(path, root)) root_bytes = strlen(root);
    /* Past the functions below. */
    if ((path = getenv("POWER_LOG"))) log_file = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if ((path = getenv("POWER_FAULTS"))) {
        int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
        void *map = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (map != MAP_FAILED) faults = map;
        syscall(SYS_close, file);
    }
    skips_syncs = getenv("POWER_SKIP_SYNCS") != NULL;
}

/* The absolute path without "." and doubled slashes; whether it is below the root, or is the root. */
static int resolve(int directory, const char *path, char *into) {
    char joined[2 * PATH_MAX];
    if (path[0] == '/') {
        snprintf(joined, sizeof joined, "%s", path);
    } else {
        char above[PATH_MAX];
        if (directory == AT_FDCWD) {
            if (!getcwd(above, sizeof above)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
            ssize_t length = readlink(link, above, sizeof above - 1);
            if (length < 0) return 0;
            above[length] = 0;
        }
        snprintf(joined, sizeof joined, "%s/%s", above, path);
    }
    char *out = into;
    for (const char *in = joined; *in;) {
        if (in[0] == '/' && in[1] == '/') in += 1;
        else if (in[0] == '/' && in[1] == '.' && (in[2] == '/' || !in[2])) in += 2;
        else *out++ = *in++;
    }
    *out = 0;
    if (out - into > 1 && out[-1] == '/') out[-1] = 0;
    return root_bytes && strncmp(into, root, root_bytes) == 0 && (into[root_bytes] == '/' || !into[root_bytes]);
}

/* The same of an open file. */
static int path_of(int file, char *into) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, into, PATH_MAX - 1);
    if (length < 0) return 0;
    into[length] = 0;
    return root_bytes && strncmp(into, root, root_bytes) == 0 && (into[root_bytes] == '/' || !into[root_bytes]);
}

static void note(enum kind kind, uint64_t inode, uint64_t offset, const char *path, const char *target, const void *data, size_t bytes) {
    if (log_file < 0) return;
    path = path ? path : "";
    target = target ? target : "";
    struct record record = {kind, (uint32_t)strlen(path), (uint32_t)strlen(target), (uint32_t)bytes, inode, offset};
    struct iovec pieces[] = {
        {&record, sizeof record}, {(void *)path, record.path_bytes}, {(void *)target, record.target_bytes}, {(void *)data, bytes}};
    int before = errno;
    syscall(SYS_writev, log_file, pieces, 4);
    errno = before;
}

/* Whether this call fails: 0 no, 1 yes, 2 after half of its bytes. */
static int fails(enum kind kind, const char *path) {
    if (!faults || !(faults->kinds & (1u << kind)) || (faults->path[0] && !strstr(path, faults->path))) return 0;
    uint32_t number = ++faults->seen;
    int is_half = faults->is_partial && kind == WRITE;
    if (number < faults->first) return 0;
    if (number > faults->first + (is_half ? 1 : 0) && !faults->goes_on) return 0;
    faults->failed++;
    if (is_half && number == faults->first) return 2;
    errno = (int)faults->error;
    return 1;
}

static uint64_t inode_of(int file) {
    struct stat about;
    return fstat(file, &about) == 0 ? about.st_ino : 0;
}

static int do_open(int (*real)(int, const char *, int, ...), int directory, const char *path, int flags, mode_t mode) {
    char whole[2 * PATH_MAX];
    if (!resolve(directory, path, whole)) return real(directory, path, flags, mode);
    enter();
    struct stat about;
    int was_there = lstat(whole, &about) == 0, file = -1;
    /* Where there is no room, what is there is opened all the same. */
    int needs_room = faults && (faults->error == ENOSPC || faults->error == EDQUOT);
    int may_fail = !needs_room || (flags & O_CREAT);
    if (!may_fail || !fails(OPEN, whole)) file = real(directory, path, flags, mode);
    if (file >= 0) {
        if (!was_there && (flags & O_CREAT)) note(CREATE, inode_of(file), 0, whole, NULL, NULL, 0);
        else if (flags & O_TRUNC) note(TRUNCATE, inode_of(file), 0, whole, NULL, NULL, 0);
    }
    leave();
    return file;
}

static int open_by_openat(int directory, const char *path, int flags, ...) {
    REAL(openat);
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return real(directory, path, flags, mode);
}

#define MODE(mode) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

int open(const char *path, int flags, ...) {
    MODE(mode)
    return do_open(open_by_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE(mode)
    return do_open(open_by_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int directory, const char *path, int flags, ...) {
    MODE(mode)
    return do_open(open_by_openat, directory, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...) {
    MODE(mode)
    return do_open(open_by_openat, directory, path, flags | O_LARGEFILE, mode);
}

/* Somebody is told something, and the log has it before he knows: what he does then comes after it. */
static void tell(void) {
    enter();
    note(SOCKET, 0, 0, NULL, NULL, NULL, 0);
}

/* What writes to a socket tells somebody something. */
static int is_socket(int file) {
    struct stat about;
    return fstat(file, &about) == 0 && S_ISSOCK(about.st_mode);
}

static int is_ours(int file, char *path) {
    struct stat about;
    return fstat(file, &about) == 0 && S_ISREG(about.st_mode) && path_of(file, path);
}

static ssize_t write_at(int file, const void *bytes, size_t count, off_t offset) {
    return syscall(SYS_pwrite64, file, bytes, count, offset);
}

/* A write at `offset`, or where the file stands if that is negative. */
static ssize_t do_write(int file, const void *bytes, size_t count, off_t offset) {
    char path[PATH_MAX];
    if (!is_ours(file, path)) {
        int tells = is_socket(file);
        if (tells) tell();
        ssize_t written = offset < 0 ? syscall(SYS_write, file, bytes, count) : write_at(file, bytes, count, offset);
        if (tells) leave();
        return written;
    }
    enter();
    ssize_t written = -1;
    int fault = fails(WRITE, path);
    if (fault == 2 && count > 1) count /= 2;
    if (fault != 1) {
        written = offset < 0 ? syscall(SYS_write, file, bytes, count) : write_at(file, bytes, count, offset);
        if (written > 0) {
            off_t at = offset < 0 ? lseek(file, 0, SEEK_CUR) - written : offset;
            note(WRITE, inode_of(file), (uint64_t)at, path, NULL, bytes, (size_t)written);
        }
    }
    leave();
    return written;
}

ssize_t write(int file, const void *bytes, size_t count) { return do_write(file, bytes, count, -1); }

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) { return do_write(file, bytes, count, offset); }

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) { return do_write(file, bytes, count, offset); }

ssize_t writev(int file, const struct iovec *pieces, int count) {
    char path[PATH_MAX];
    /* A short write of the first piece is what a kernel may do, too. */
    for (int piece = 0; is_ours(file, path) && piece < count; piece++)
        if (pieces[piece].iov_len) return do_write(file, pieces[piece].iov_base, pieces[piece].iov_len, -1);
    int tells = is_socket(file);
    if (tells) tell();
    ssize_t written = syscall(SYS_writev, file, pieces, count);
    if (tells) leave();
    return written;
}

ssize_t send(int socket, const void *bytes, size_t count, int flags) {
    tell();
    ssize_t written = syscall(SYS_sendto, socket, bytes, count, flags, NULL, 0);
    leave();
    return written;
}

ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    tell();
    ssize_t written = syscall(SYS_sendmsg, socket, message, flags);
    leave();
    return written;
}

/* Below the root, these are copies by reading and writing: what they move would be seen by nobody. */
ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t count, unsigned flags) {
    char path[PATH_MAX];
    if (is_ours(to, path)) {
        errno = ENOSYS;
        return -1;
    }
    return syscall(SYS_copy_file_range, from, from_offset, to, to_offset, count, flags);
}

ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) {
    char path[PATH_MAX];
    if (is_ours(to, path)) {
        errno = ENOSYS;
        return -1;
    }
    return syscall(SYS_sendfile, to, from, offset, count);
}

static int do_truncate(int file, off_t length) {
    char path[PATH_MAX];
    if (!is_ours(file, path)) return (int)syscall(SYS_ftruncate, file, length);
    enter();
    int result = -1;
    if (!fails(TRUNCATE, path)) result = (int)syscall(SYS_ftruncate, file, length);
    if (result == 0) note(TRUNCATE, inode_of(file), (uint64_t)length, path, NULL, NULL, 0);
    leave();
    return result;
}

int ftruncate(int file, off_t length) { return do_truncate(file, length); }

int ftruncate64(int file, off64_t length) { return do_truncate(file, length); }

static int do_allocate(int file, int mode, off_t offset, off_t length) {
    char path[PATH_MAX];
    if (!is_ours(file, path)) return (int)syscall(SYS_fallocate, file, mode, offset, length);
    enter();
    int result = -1;
    if (!fails(ALLOCATE, path)) result = (int)syscall(SYS_fallocate, file, mode, offset, length);
    if (result == 0) note(ALLOCATE, inode_of(file), (uint64_t)(offset + length), path, NULL, NULL, 0);
    leave();
    return result;
}

int fallocate(int file, int mode, off_t offset, off_t length) { return do_allocate(file, mode, offset, length); }

int fallocate64(int file, int mode, off64_t offset, off64_t length) { return do_allocate(file, mode, offset, length); }

int posix_fallocate(int file, off_t offset, off_t length) { return do_allocate(file, 0, offset, length) == 0 ? 0 : errno; }

int posix_fallocate64(int file, off64_t offset, off64_t length) { return do_allocate(file, 0, offset, length) == 0 ? 0 : errno; }

static int do_sync(int file, long call) {
    char path[PATH_MAX];
    struct stat about;
    if (fstat(file, &about) != 0 || !path_of(file, path)) return (int)syscall(call, file);
    enter();
    int is_directory = S_ISDIR(about.st_mode), result = -1;
    if (!fails(is_directory ? SYNC_DIRECTORY : SYNC, path)) result = skips_syncs ? 0 : (int)syscall(call, file);
    if (is_directory && result == 0) note(SYNC_DIRECTORY, about.st_ino, 0, path, NULL, NULL, 0);
    if (!is_directory) note(result == 0 ? SYNC : LOST_SYNC, about.st_ino, 0, path, NULL, NULL, 0);
    leave();
    return result;
}

int fsync(int file) { return do_sync(file, SYS_fsync); }

int fdatasync(int file) { return do_sync(file, SYS_fdatasync); }

/* Promises nothing about a power cut. */
int sync_file_range(int file, off64_t offset, off64_t count, unsigned flags) {
    return skips_syncs ? 0 : (int)syscall(SYS_sync_file_range, file, offset, count, flags);
}

static int do_rename(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    char source[2 * PATH_MAX], target[2 * PATH_MAX];
    int is_below = resolve(from_directory, from, source);
    is_below |= resolve(to_directory, to, target);
    if (!is_below) return (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
    enter();
    int result = -1;
    if (!fails(RENAME, target)) result = (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
    if (result == 0) note(RENAME, 0, 0, source, target, NULL, 0);
    leave();
    return result;
}

int rename(const char *from, const char *to) { return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0); }

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    return do_rename(from_directory, from, to_directory, to, 0);
}

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    return do_rename(from_directory, from, to_directory, to, flags);
}

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
    char source[2 * PATH_MAX], target[2 * PATH_MAX];
    resolve(from_directory, from, source);
    if (!resolve(to_directory, to, target)) return (int)syscall(SYS_linkat, from_directory, from, to_directory, to, flags);
    enter();
    int result = -1;
    if (!fails(LINK, target)) result = (int)syscall(SYS_linkat, from_directory, from, to_directory, to, flags);
    if (result == 0) note(LINK, 0, 0, source, target, NULL, 0);
    leave();
    return result;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int directory, const char *path, int flags) {
    char whole[2 * PATH_MAX];
    if (!resolve(directory, path, whole)) return (int)syscall(SYS_unlinkat, directory, path, flags);
    enter();
    int result = -1, is_directory = flags & AT_REMOVEDIR;
    if (!fails(is_directory ? REMOVE_DIRECTORY : UNLINK, whole)) result = (int)syscall(SYS_unlinkat, directory, path, flags);
    if (result == 0) note(is_directory ? REMOVE_DIRECTORY : UNLINK, 0, 0, whole, NULL, NULL, 0);
    leave();
    return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int directory, const char *path, mode_t mode) {
    char whole[2 * PATH_MAX];
    if (!resolve(directory, path, whole)) return (int)syscall(SYS_mkdirat, directory, path, mode);
    enter();
    int result = -1;
    if (!fails(MAKE_DIRECTORY, whole)) result = (int)syscall(SYS_mkdirat, directory, path, mode);
    if (result == 0) note(MAKE_DIRECTORY, 0, 0, whole, NULL, NULL, 0);
    leave();
    return result;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

static void *do_map(void *address, size_t length, int protection, int flags, int file, off_t offset) {
    char path[PATH_MAX];
    if (file >= 0 && (flags & MAP_SHARED) && path_of(file, path)) {
        enter();
        int is_to_fail = fails(MAP, path);
        leave();
        if (is_to_fail) return MAP_FAILED;
        note(MAP, inode_of(file), 0, path, NULL, NULL, 0);
    }
    return (void *)syscall(SYS_mmap, address, length, protection, flags, file, offset);
}

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
    return do_map(address, length, protection, flags, file, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int file, off64_t offset) {
    return do_map(address, length, protection, flags, file, offset);
}
