#include "queue/store_inside.h"

/* A message's row stays as history when its recipients are gone; recipients
 * and bodies are there only while something is pending. */
static const char first[] =
    "CREATE TABLE meta ("
    "  key TEXT PRIMARY KEY,"
    "  value TEXT"
    ") WITHOUT ROWID;"

    "CREATE TABLE message ("
    "  id INTEGER PRIMARY KEY,"
    "  arrived_ms INTEGER NOT NULL,"
    "  size INTEGER NOT NULL,"
    "  flags INTEGER NOT NULL,"
    "  ret INTEGER NOT NULL,"
    "  sender TEXT NOT NULL,"
    "  envid TEXT,"
    "  sum INTEGER NOT NULL,"
    "  origin TEXT,"
    "  message_id TEXT"
    ");"

    "CREATE TABLE recipient ("
    "  message INTEGER NOT NULL,"
    "  number INTEGER NOT NULL,"
    "  next_ms INTEGER NOT NULL,"
    "  attempts INTEGER NOT NULL,"
    "  warned INTEGER NOT NULL,"
    "  held INTEGER NOT NULL,"
    "  destination TEXT NOT NULL,"
    "  domain TEXT NOT NULL,"
    "  address TEXT NOT NULL,"
    "  orcpt TEXT,"
    "  notify INTEGER NOT NULL,"
    "  sum INTEGER NOT NULL,"
    "  last TEXT,"
    "  PRIMARY KEY (message, number)"
    ") WITHOUT ROWID;"
    "CREATE INDEX recipient_due ON recipient (destination, next_ms);"

    /* id is message << 14 | sequence */
    "CREATE TABLE body ("
    "  id INTEGER PRIMARY KEY,"
    "  sum INTEGER NOT NULL,"
    "  octets BLOB NOT NULL"
    ");"

    /* messages of which pieces are stored, but no row yet */
    "CREATE TABLE spill (message INTEGER PRIMARY KEY);"

    /* address NULL: an attempt that decided nobody's fate; at_ms NULL: a
     * result without an attempt */
    "CREATE TABLE attempt ("
    "  message INTEGER NOT NULL,"
    "  sequence INTEGER NOT NULL,"
    "  number INTEGER,"
    "  rcpt TEXT,"
    "  outcome INTEGER NOT NULL,"
    "  next_ms INTEGER,"
    "  warned INTEGER,"
    "  reason TEXT,"
    "  at_ms INTEGER,"
    "  took_ms INTEGER,"
    "  host TEXT,"
    "  address TEXT,"
    "  policy TEXT,"
    "  proof TEXT,"
    "  tls_version TEXT,"
    "  tls_cipher TEXT,"
    "  verdict TEXT,"
    "  reply TEXT,"
    "  step TEXT,"
    "  PRIMARY KEY (message, sequence)"
    ") WITHOUT ROWID;"

    "CREATE TABLE shelf ("
    "  shelf TEXT NOT NULL,"
    "  key TEXT NOT NULL,"
    "  due_ms INTEGER NOT NULL,"
    "  value BLOB NOT NULL,"
    "  PRIMARY KEY (shelf, key)"
    ") WITHOUT ROWID;"
    "CREATE INDEX shelf_due ON shelf (shelf, due_ms);";

/* Of requests that may come again: which message the first one became. */
static const char second[] = "CREATE TABLE receipt ("
                             "  number INTEGER PRIMARY KEY,"
                             "  key TEXT NOT NULL UNIQUE,"
                             "  digest BLOB NOT NULL,"
                             "  message INTEGER NOT NULL,"
                             "  at_ms INTEGER NOT NULL"
                             ");";

/* Results that somebody is to be told of: one row for each, until it was.  What
 * there is to tell is in the history, which stays as long. */
static const char third[] = "CREATE TABLE feed ("
                            "  name TEXT NOT NULL,"
                            "  number INTEGER NOT NULL,"
                            "  message INTEGER NOT NULL,"
                            "  sequence INTEGER NOT NULL,"
                            "  at_ms INTEGER NOT NULL,"
                            "  PRIMARY KEY (name, number)"
                            ") WITHOUT ROWID;"
                            "CREATE INDEX feed_message ON feed (message);";

static const char *const migrations[] = {first, second, third};

const struct db_schema queue_store_schema = {
    .application_id = 0x5ea19057,
    .migrations = migrations,
    .count = sizeof(migrations) / sizeof(*migrations),
};
