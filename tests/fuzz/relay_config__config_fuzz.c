/* A configuration file: an error has a text, and what is accepted prints as a
 * configuration that is accepted and prints the same. */
#include "relay/base/mem.h"
#include "relay/config/config.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    (void)setenv("STATE_DIRECTORY", "/tmp", 1);
    (void)setenv("RUNTIME_DIRECTORY", "/tmp", 1);
    (void)setenv("SEALPOST_HOSTNAME", "relay.example.com", 1);
    return 0;
}

/* The effective values; NULL when the text is refused. */
static char *
reprint(struct slice in)
{
    struct config_errors errs = {0};
    struct config *c = NULL;
    char *text = NULL;
    scoped(own_close) int fd = memfd_create("config", MFD_CLOEXEC);
    char file[40];

    assert(write(fd, in.p, in.len) == (ssize_t)in.len);
    (void)snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
    if (config_load(file, &c, &errs)) {
        size_t len;
        FILE *out = open_memstream(&text, &len);

        config_print(c, false, out);
        (void)fclose(out);
        config_free(&c);
    } else {
        assert(errs.count > 0 && errs.text[0][0] != '\0');
    }
    config_errors_done(&errs);
    return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(own_free) char *first =
        reprint((struct slice){(const char *)data, size});
    scoped(own_free) char *second = NULL;
    scoped(own_free) char *third = NULL;

    if (!first)
        return 0;
    second = reprint(slice_of(first));
    assert(second);
    third = reprint(slice_of(second));
    assert(third && strcmp(second, third) == 0);
    return 0;
}
