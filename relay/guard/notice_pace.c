#include "relay/guard/notice_pace.h"

#include "relay/base/buf.h"
#include "relay/base/map.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <stdlib.h>

/* When the bucket of a sender is full again.  Each notice puts that off by its
 * share of the span, and waits for as long as that is more than a whole span
 * ahead. */
struct row {
    uint64_t key;
    int64_t full_us;
    UT_hash_handle hh; /* the table is in the order of touch */
};

struct notice_pace {
    struct hash_key key;
    struct row *rows;
};

struct notice_pace *
notice_pace_new(const struct hash_key *key)
{
    struct notice_pace *p = mem_new(struct notice_pace);

    p->key = *key;
    return p;
}

void
notice_pace_free(struct notice_pace **place)
{
    struct notice_pace *p = take(place);
    struct row *row, *next;

    if (!p)
        return;
    HASH_ITER(hh, p->rows, row, next)
    {
        HASH_DEL(p->rows, row);
        free(row);
    }
    free(p);
}

static uint64_t
key_of(const struct notice_pace *p, const char *sender)
{
    struct buf lower scoped(buf_free) = {0};

    for (; *sender; sender++)
        buf_add_byte(&lower, *sender >= 'A' && *sender <= 'Z'
                                 ? (char)(*sender - 'A' + 'a')
                                 : *sender);
    return hash_keyed(&p->key, buf_slice(&lower));
}

/* Finds or makes it, and puts it at the end of the row. */
static struct row *
touch(struct notice_pace *p, uint64_t key)
{
    struct row *row;

    HASH_FIND(hh, p->rows, &key, sizeof(key), row);
    if (row) {
        HASH_DEL(p->rows, row);
    } else {
        if (HASH_COUNT(p->rows) >= NOTICE_PACE_SENDERS_MAX) {
            struct row *oldest = p->rows;

            HASH_DEL(p->rows, oldest);
            free(oldest);
        }
        row = mem_new(struct row);
        row->key = key;
    }
    HASH_ADD(hh, p->rows, key, sizeof(row->key), row);
    return row;
}

int64_t
notice_pace_take(struct notice_pace *p, const struct span_rate *rate,
                 const char *sender, int64_t most_ms, int64_t now_ms)
{
    int64_t now_us = now_ms * 1000, span_us = rate->per_ms * 1000;
    int64_t latest_us = now_us + span_us + most_ms * 1000;
    struct row *row;

    if (rate->count == 0)
        return 0;
    row = touch(p, key_of(p, sender));
    if (row->full_us < now_us)
        row->full_us = now_us;
    row->full_us += span_us / (int64_t)rate->count;
    if (row->full_us > latest_us)
        row->full_us = latest_us;
    return row->full_us > now_us + span_us
               ? (row->full_us - now_us - span_us + 999) / 1000
               : 0;
}
