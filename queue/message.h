/*
 * queue/message - a message on its way, in memory.
 *
 * Made by the receiver or by a claim from the store; owned by one holder at a
 * time.  It may hold only some of the message's recipients: those that this
 * holder is to work on.
 */
#ifndef QUEUE_MESSAGE_H
#define QUEUE_MESSAGE_H

#include "relay/base/buf.h"
#include "relay/mail/envelope.h"
#include "relay/mail/status.h"

#include <stdint.h>

enum {
    QUEUE_CHUNK = 64 * 1024, /* octets of a piece of a spilled message; what
                                is smaller stays in one piece */
    QUEUE_FRONT_MAX = 512 * 1024, /* octets of its first piece */
    QUEUE_CHUNKS_MAX = 16384,
    QUEUE_RECEIPT_KEY_MAX = 255, /* octets */
    QUEUE_RECEIPT_DIGEST = 32,   /* SHA-256 */
};

/* By which a client that asks again for the same message is told of the first
 * one: its own word for the request, and a digest of all that was asked. */
struct queue_receipt {
    char key[QUEUE_RECEIPT_KEY_MAX + 1];
    unsigned char digest[QUEUE_RECEIPT_DIGEST];
};

/* What the queue knows of one recipient, beside its address in the envelope
 * (same index). */
struct queue_rcpt {
    uint32_t number;   /* within the message, from 0; stays */
    char *destination; /* what it waits for: "example.com" in A-label form,
                          or "route:NAME" */
    uint32_t attempts; /* made so far */
    int64_t next_ms;   /* next attempt, steady clock; 0 at once */
    bool warned;       /* the delay warning was sent, or may not be */
    bool held;
    char *last; /* the last reply or reason, for people; or NULL */
};

struct queue_message {
    uint64_t id;
    int64_t arrived_ms; /* steady clock, ms since 1970 */
    struct mail_envelope envelope;
    struct queue_rcpt *rcpt; /* envelope.rcpt_count of them */
    uint64_t size; /* octets, canonical CRLF form, trace fields included */
    bool has_8bit;
    bool is_header_ascii; /* false: not known */
    bool tls_required_no; /* header TLS-Required: No (RFC 8689 section 5) */
    char *origin;         /* for people: "203.0.113.5 (mail.example.com)" */
    char *message_id;     /* of the header; or NULL */
    struct queue_receipt *receipt; /* stored with the message; or NULL */
    struct buf body; /* all of it; empty when it is in the store only */
    size_t jobs;     /* the scheduler's: jobs that still need it */
};

struct queue_message *queue_message_new(void);
void queue_message_free(struct queue_message **m);
/* Makes m->rcpt as long as the envelope's list, with numbers from 0. */
void queue_message_number(struct queue_message *m);

#endif
