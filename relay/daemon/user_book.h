/*
 * relay/daemon/user_book - the list of users that is in force.
 *
 * Read at the start, and again when the file changes or the configuration is
 * reloaded.  A file with a broken line changes nothing; while it can't be read
 * at all nobody can log in for now, as nobody knows who still may.
 */
#ifndef RELAY_DAEMON_USER_BOOK_H
#define RELAY_DAEMON_USER_BOOK_H

#include "relay/config/users.h"
#include "relay/daemon/relay.h"

enum { USER_BOOK_POLL_MS = 1000 };

struct user_book;

/* Reads the list that the configuration names, if it names one, so that errors
 * stop the start.  Main thread, as all but user_book_get. */
struct user_book *user_book_open(struct relay *relay, struct err *err) must_use;
void user_book_close(struct user_book **b);

/* Another configuration is in force. */
void user_book_configure(struct user_book *b);

/* The list, for users_drop; NULL: there is none now.  Any thread. */
struct users *user_book_get(struct user_book *b);

#endif
