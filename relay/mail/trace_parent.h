/*
 * relay/mail/trace_parent - the trace that a message or a request says it
 * belongs to, in the form of W3C Trace Context: "traceparent".
 */
#ifndef RELAY_MAIL_TRACE_PARENT_H
#define RELAY_MAIL_TRACE_PARENT_H

#include "relay/base/slice.h"

enum { MAIL_TRACE_ID_SIZE = 33 }; /* 32 hexadecimal digits, and a NUL */

/* "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"; versions to come
 * may have more behind it.  False: it is none. */
bool mail_trace_id(struct slice value, char out[MAIL_TRACE_ID_SIZE]);

#endif
