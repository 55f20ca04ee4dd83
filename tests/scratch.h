/*
 * tests/scratch - a directory for one test, removed with all its files.
 */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char path[64];
    char file[PATH_MAX]; /* of the last scratch_file */
};

static inline void
scratch_make(struct scratch *s)
{
    (void)snprintf(s->path, sizeof(s->path), "/tmp/sealpost-test-XXXXXX");
    if (!mkdtemp(s->path))
        abort();
}

static inline const char *
scratch_file(struct scratch *s, const char *name)
{
    (void)snprintf(s->file, sizeof(s->file), "%s/%s", s->path, name);
    return s->file;
}

static inline void
scratch_remove(struct scratch *s)
{
    DIR *dir = opendir(s->path);

    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            (void)unlinkat(dirfd(dir), e->d_name, 0);
    (void)closedir(dir);
    (void)rmdir(s->path);
}

static inline void
scratch_write(struct scratch *s, const char *name, const void *p, size_t len)
{
    FILE *f = fopen(scratch_file(s, name), "w");

    if (!f || (len && fwrite(p, 1, len, f) != len) || fclose(f) != 0)
        abort();
}

/* -1 when there is no such file. */
static inline long
scratch_size(struct scratch *s, const char *name)
{
    struct stat st;

    return stat(scratch_file(s, name), &st) == 0 ? (long)st.st_size : -1;
}

static inline void
scratch_copy(struct scratch *s, const char *from, const char *to)
{
    long len = scratch_size(s, from);
    char *p = malloc(len > 0 ? (size_t)len : 1);
    FILE *f = fopen(s->file, "r");

    if (!p || !f || len < 0 || fread(p, 1, (size_t)len, f) != (size_t)len)
        abort();
    (void)fclose(f);
    scratch_write(s, to, p, (size_t)len);
    free(p);
}

#endif
