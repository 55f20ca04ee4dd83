/*
 * Filters for events, and events, of any kind: the first line is a filter,
 * NAME=VALUE, the rest an event.
 *
 *   - what is no filter is refused with a reason
 *   - the filter says of an event the same each time
 */
#include "relay/watch/event_filter.h"

#include "relay/base/mem.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = {(const char *)data, size};
    struct slice value = slice_cut(&rest, '\n');
    struct slice first = slice_cut(&value, '=');
    char *name = mem_copy(first), *text = mem_copy(value);
    struct event_filter f = {0};
    struct err err = {0};

    if (event_filter_set(&f, name, text, &err)) {
        json_t *event = event_filter_read(rest);

        if (event)
            assert(event_filter_wants(&f, event) ==
                   event_filter_wants(&f, event));
        json_decref(event);
    } else {
        assert(err.text[0]);
    }
    event_filter_done(&f);
    free(name);
    free(text);
    return 0;
}
