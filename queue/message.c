#include "queue/message.h"

#include "relay/base/mem.h"

#include <stdlib.h>

struct queue_message *
queue_message_new(void)
{
    return mem_new(struct queue_message);
}

void
queue_message_free(struct queue_message **m)
{
    struct queue_message *dead = *m;

    *m = NULL;
    if (!dead)
        return;
    for (size_t i = 0; dead->rcpt && i < dead->envelope.rcpt_count; i++) {
        free(dead->rcpt[i].destination);
        free(dead->rcpt[i].last);
    }
    free(dead->rcpt);
    mail_envelope_done(&dead->envelope);
    free(dead->origin);
    free(dead->message_id);
    free(dead->receipt);
    buf_free(&dead->body);
    free(dead);
}

void
queue_message_number(struct queue_message *m)
{
    size_t n = m->envelope.rcpt_count;

    m->rcpt = mem_array(struct queue_rcpt, n);
    for (size_t i = 0; i < n; i++)
        m->rcpt[i].number = (uint32_t)i;
}
