#include "queue/store_inside.h"

#include "relay/base/mem.h"

#include <string.h>

/* A row that fails its check stays where it is: whoever claims it reports
 * it. */
static bool
read_sum(struct db_statement *st, uint64_t id, uint32_t number, uint64_t *sum)
{
    const char *old = db_text(st, 0);
    scoped(own_free) char *address = mem_text(db_text(st, 1));
    scoped(own_free) char *domain = mem_text(db_text(st, 2));
    scoped(own_free) char *orcpt = mem_text(db_text(st, 3));
    struct mail_rcpt r = {.address = address,
                          .domain = domain,
                          .orcpt = orcpt,
                          .notify = (uint8_t)db_int(st, 4)};

    if (!old || !address || !domain ||
        (uint64_t)db_int(st, 5) != queue_store_rcpt_sum(id, number, &r, old))
        return false;
    *sum = queue_store_rcpt_sum(id, number, &r, QUEUE_ENDED);
    return true;
}

static void
mark_claim(struct queue_store *s, uint64_t id, uint32_t number)
{
    const struct queue_claim *claim = queue_claims_find(s->claims, id, number);

    if (claim && !claim->is_bad) {
        struct queue_claim now = *claim;

        now.is_ended = true;
        queue_claims_put(s->claims, &now);
    }
}

bool
queue_store_end(struct queue_store *s, uint64_t id, uint32_t number,
                struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_RCPT_ROUTED,
        "SELECT destination, address, domain, orcpt, notify, sum"
        " FROM recipient WHERE message = ? AND number = ?");
    uint64_t sum = 0;
    bool row;

    db_bind_int(st, 1, (int64_t)id);
    db_bind_int(st, 2, number);
    if (!db_step(st, &row, err))
        return false;
    row = row && read_sum(st, id, number, &sum);
    db_reset(st);
    if (!row)
        return true;
    mark_claim(s, id, number);
    return queue_store_move(s, id, number, QUEUE_ENDED, sum, err);
}
