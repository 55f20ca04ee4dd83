#include "relay/daemon/lifetime.h"

#include "relay/daemon/tls_result.h"

/* However few attempts there were: a report that is lost does no harm. */
static bool
is_too_late(const struct queue_message *m, int64_t next_ms)
{
    return next_ms - m->arrived_ms > LIFETIME_REPORT_MS;
}

bool
lifetime_is_over(const struct queue_schedule *retry,
                 const struct queue_message *m, int64_t born_ms,
                 uint32_t attempts, int64_t now_ms, uint64_t random)
{
    if (tls_result_is_report(m) &&
        is_too_late(m, queue_schedule_next(retry, attempts, now_ms, random)))
        return true;
    return queue_schedule_is_expired(retry, attempts, born_ms, now_ms);
}
