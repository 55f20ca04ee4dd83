#include "relay/cli/commands.h"

/* What many of them say about themselves; columns line up at 22. */
#define FILE_HELP                                                              \
    "  -c, --config FILE     the configuration; default\n"                     \
    "                        /etc/sealpost/sealpost.conf, which need not "     \
    "exist\n"
#define TARGET_HELP                                                            \
    FILE_HELP "      --socket PATH     the relay's control socket, instead "   \
              "of the\n                        configuration's\n"
#define JSON_HELP "      --json            for programs\n"
#define USERS_HELP                                                             \
    "  -f, --file FILE       the users file; default: the configuration's "    \
    "users.file\n" FILE_HELP
#define PASSWORD_HELP                                                          \
    "\nThe password is asked for, or is the first line of the standard "       \
    "input; it is\nnever a word of the command.  A relay that runs reads the " \
    "file within a second\nor two.\n"
#define OFFLINE_HELP                                                           \
    "\nWorks also while no relay runs: then it reads the state directory.\n"
#define LOOK_HELP TARGET_HELP JSON_HELP OFFLINE_HELP
#define FILTER_HELP                                                            \
    "  -d, --domain DOMAIN   of the recipient\n"                               \
    "      --from ADDRESS    of the sender: an address, @domain, or <>\n"      \
    "      --to ADDRESS      of the recipient: an address, or @domain\n"       \
    "  -s, --state STATE     queued, active, deferred or held\n"               \
    "      --older-than T    arrived longer ago than T: 30m, 4h, 2d\n"
#define CHANGE_USAGE "ID...|--all|FILTER [--yes] [--dry-run]"
#define CHANGE_HELP                                                            \
    FILTER_HELP                                                                \
    "  -a, --all             everything\n"                                     \
    "  -n, --dry-run         only say how many\n"                              \
    "  -y, --yes             also when they are more than 100\n" TARGET_HELP

const struct cli_command cli_commands[] = {
    {"serve", "[-c FILE]", "run the relay in the foreground",
     FILE_HELP
     "\n"
     "Logs to stdout.  SIGTERM drains and ends, SIGHUP reads the\n"
     "configuration again.  Exit: 0 drained, 75 could not start now, 78 bad\n"
     "configuration.\n",
     cli_serve},
    {"check", "[-c FILE] [--keys | --schema] [--json]",
     "read the configuration and show it",
     "      --keys            every key that there is, with type, range and\n"
     "                        default, and read nothing\n"
     "      --schema          a JSON Schema of what --json prints, and read\n"
     "                        nothing\n" FILE_HELP JSON_HELP "\n"
     "Prints the effective values and where each came from; secrets are\n"
     "masked.  Exit: 0 good; 78 with every error as FILE:LINE: KEY: what is\n"
     "wrong.\n",
     cli_check},
    {"send", "[-t] [-i] [-f FROM] [-F NAME] [RCPT...]",
     "hand a message on stdin to the relay, as sendmail does",
     "  -t                    recipients are in To, Cc and Bcc; Bcc is "
     "removed\n"
     "  -i, -oi               a line with a single dot does not end it\n"
     "  -f, -r ADDRESS        the envelope sender; <> for none\n"
     "  -F NAME               full name for a From field, if there is none\n"
     "  -N never|LIST         notify of success, failure, delay (RFC 3461)\n"
     "  -R full|hdrs          how much a notification returns\n"
     "  -V ENVID              envelope id for notifications\n"
     "  -O requiretls=yes     confidential all the way, or not at all\n"
     "  -v                    show the relay's replies\n"
     "  -bs                   speak SMTP on stdin and stdout\n"
     "  -bp                   list the queue, as mailq does\n"
     "  -q, -bi               nothing: the relay sees to it by itself\n"
     "      --config FILE     the configuration: which listener, which host\n"
     "                        name\n"
     "      --socket PATH     the control socket, for -bp\n"
     "\n"
     "Goes to $SEALPOST_SMTP (127.0.0.1:2525, unix:/path), else to the first\n"
     "listener of the configuration.  Nothing is sent unless all recipients\n"
     "are accepted.  When no relay runs, the message is left in the maildrop.\n"
     "Exit: 0 safe on disk; 64 wrong words, 65 bad sender or message, 67 bad\n"
     "or refused recipient, 69 refused, 70 the relay speaks no SMTP, 75 try\n"
     "again later.\n",
     cli_send},
    {"status", "[--json]", "what the relay is doing, on one screen",
     TARGET_HELP JSON_HELP, cli_status},
    {"queue list", "[FILTER] [ID] [--json]", "list what is in the queue",
     FILTER_HELP LOOK_HELP, cli_queue_list},
    {"queue show", "ID [--json]", "one message and who still has to get it",
     LOOK_HELP, cli_queue_show},
    {"queue explain", "ID [--json]", "why a message still waits, and for what",
     LOOK_HELP
     "\n"
     "Says for each recipient what it waits for, when it is tried next, what\n"
     "would end the wait, and when it is given up.\n",
     cli_queue_explain},
    {"queue cat", "ID", "print a message as it lies in the queue",
     TARGET_HELP OFFLINE_HELP, cli_queue_cat},
    {"queue retry", CHANGE_USAGE, "try again now", CHANGE_HELP,
     cli_queue_change},
    {"queue hold", CHANGE_USAGE, "deliver it only after a release", CHANGE_HELP,
     cli_queue_change},
    {"queue release", CHANGE_USAGE, "end a hold and try now", CHANGE_HELP,
     cli_queue_change},
    {"queue delete", CHANGE_USAGE, "drop it; nobody is told", CHANGE_HELP,
     cli_queue_change},
    {"queue bounce", CHANGE_USAGE, "give it up now; senders are told",
     CHANGE_HELP, cli_queue_change},
    {"trace", "ID [--json]", "all that happened to one message", LOOK_HELP,
     cli_trace},
    {"events", "[-e LIST] [-d D] [--from A] [--to A] [--id ID] [--json]",
     "follow what happens, as it happens",
     "  -e, --event LIST      these only: delivery.sent, delivery.*, with "
     "commas\n"
     "  -d, --domain DOMAIN   of the recipient, or what the event is about\n"
     "      --from ADDRESS    of the sender: an address, @domain, or <>\n"
     "      --to ADDRESS      of the recipient: an address, or @domain\n"
     "      --id ID           about one message\n"
     "      --level LEVEL     info, warning or error: this and "
     "above\n" TARGET_HELP JSON_HELP "\n"
     "Shows what the log says from now on, until Ctrl-C, whatever the log's\n"
     "own format and level are.  Exit: 0 at Ctrl-C, 69 no relay, or it has\n"
     "ended.\n",
     cli_events},
    {"probe", "DOMAIN [--mx HOST] [--from ADDRESS] [--json]",
     "what would happen to mail for a domain now",
     "      --mx HOST         call on this one of its hosts only\n"
     "      --from ADDRESS    as a message from there, where routes depend on "
     "it\n" TARGET_HELP JSON_HELP "\n"
     "Looks up MX, addresses, TLSA and MTA-STS anew, makes the plan, calls on\n"
     "each host as far as STARTTLS and sends no mail.  Takes half a minute at\n"
     "most, and another one where the policy host does not answer.\n"
     "Exit: 0 mail would be delivered, 1 it would not, 75 could not tell.\n",
     cli_probe},
    {"route test", "FROM TO [--json] [-c FILE]",
     "which way a message takes, and why",
     FILE_HELP JSON_HELP
     "\n"
     "FROM may be <>.  Compares the routes in their order, and prints the one\n"
     "that takes it with its hosts, TLS and authentication.  Asks neither the\n"
     "relay nor DNS.  Exit: 0; 65 no address, 78 bad configuration.\n",
     cli_route_test},
    {"policy list", "[--json]", "the cached MTA-STS policies", LOOK_HELP,
     cli_policy_list},
    {"policy show", "DOMAIN [--json]", "one cached policy, as published",
     LOOK_HELP, cli_policy_show},
    {"policy refresh", "DOMAIN", "fetch a policy anew", TARGET_HELP,
     cli_policy_change},
    {"policy forget", "DOMAIN", "drop a policy from the cache", TARGET_HELP,
     cli_policy_change},
    {"report list", "[--json]", "how TLS went, by day and domain", LOOK_HELP,
     cli_report_list},
    {"report show", "DAY DOMAIN [--json]", "one count in full, as reported",
     LOOK_HELP, cli_report_show},
    {"report send", "DAY [--json]", "send the reports of a day now",
     TARGET_HELP JSON_HELP
     "\n"
     "DAY is a day of UTC, 2026-11-23.  Reports go out by themselves once the\n"
     "day is over.  Exit: 75 when one could not be sent.\n",
     cli_report_send},
    {"user add", "NAME [-s SENDERS] [--no-scram] [-f FILE] [-c FILE]",
     "let somebody log in",
     "  -s, --senders LIST    what the user may send from, with commas: an\n"
     "                        address, @domain, * or <>; default any address\n"
     "      --no-scram        for PLAIN and LOGIN only\n" USERS_HELP
         PASSWORD_HELP,
     cli_user_add},
    {"user passwd", "NAME [--no-scram] [-f FILE] [-c FILE]",
     "give a user another password",
     "      --no-scram        for PLAIN and LOGIN only\n" USERS_HELP
         PASSWORD_HELP,
     cli_user_passwd},
    {"user remove", "NAME [-f FILE] [-c FILE]", "let a user log in no more",
     USERS_HELP, cli_user_remove},
    {"user list", "[--json] [-f FILE] [-c FILE]", "who may log in",
     USERS_HELP JSON_HELP, cli_user_list},
    {"dkim keygen", "DOMAIN SELECTOR [--ed25519] [-o FILE]",
     "make a key that signs mail of a domain",
     "      --ed25519         instead of RSA with 2048 bits\n"
     "  -o, --output FILE     instead of DOMAIN.SELECTOR.pem here; never over "
     "a\n                        file that is there\n"
     "\n"
     "Prints the record to publish, as a line of a zone file.\n",
     cli_dkim_keygen},
    {"dkim dns", "[--json]", "the records of all keys, for publishing",
     FILE_HELP JSON_HELP, cli_dkim_dns},
    {"dkim check", "[--json]", "are the keys published as they are?",
     FILE_HELP JSON_HELP
     "\n"
     "Asks the configured resolver; needs no running relay.  Exit: 0 all are,\n"
     "1 one is not, 75 could not tell.\n",
     cli_dkim_check},
    {"doctor", "[--domain D] [--to DOMAIN] [--json]",
     "is this host fit to send?",
     "  -d, --domain DOMAIN   also what a domain publishes: SPF, DMARC, "
     "MTA-STS,\n                        TLSRPT\n"
     "      --to DOMAIN       whose MX hosts port 25 is tried on; default "
     "gmail.com\n" TARGET_HELP JSON_HELP "\n"
     "Looks at configuration, disk, clock, certificates, who may relay, "
     "DNSSEC,\n"
     "routes, port 25, PTR against HELO, DKIM keys against DNS.  Sends no "
     "mail,\n"
     "needs no running relay, takes half a minute at most.  Exit: 0 all is "
     "well,\n"
     "1 warnings, 2 failures.\n",
     cli_doctor},
    {"backup", "FILE", "copy the queue while it is in use",
     TARGET_HELP
     "\n"
     "FILE is made anew, readable for its owner alone, and complete once the\n"
     "command has ended with 0.  The relay goes on meanwhile.  Without one, "
     "the\n"
     "state directory is read.\n",
     cli_backup},
    {"restore", "FILE [--force]", "put a copy of the queue in its place",
     "      --force           also where there is a queue: it is put aside as\n"
     "                        queue.db.before\n" FILE_HELP "\n"
     "No relay may run.  What was delivered since the copy was made is "
     "delivered\n"
     "again.\n",
     cli_restore},
    {"reload", "", "have the relay read its configuration again",
     TARGET_HELP
     "\n"
     "Exit: 0 in force; 78 refused, with every error, and the old one stays.\n",
     cli_reload},
    {"drain", "[--wait T]", "take no more mail and empty the queue",
     "      --wait T          until nothing is under way, or T (30s, 5m) is\n"
     "                        over\n" TARGET_HELP "\n"
     "The relay goes on delivering until it is ended by SIGTERM.  Deferred\n"
     "and held mail stays for the next start.  Exit: 75 when mail was still\n"
     "under way at the end of T.\n",
     cli_drain},
    {"healthcheck", "[live|ready]", "is the relay well? for containers",
     TARGET_HELP
     "\n"
     "Says nothing and exits 0 when it is; else 1, and why.  `ready` is the\n"
     "default: it fails while draining and while the queue can't be written.\n",
     cli_healthcheck},
    {"completion", "bash|zsh|fish", "a script that completes these words",
     "      --words           for such a script: what may follow the words "
     "given\n"
     "\n"
     "bash:  eval \"$(sealpost completion bash)\"\n"
     "zsh:   eval \"$(sealpost completion zsh)\", behind compinit\n"
     "fish:  sealpost completion fish | source\n",
     cli_completion},
    {"version", "[--json]", "versions of the relay and its libraries",
     JSON_HELP, cli_version},
    {"mailq", "", "list the queue as other mail systems do", TARGET_HELP,
     cli_mailq},
    {"postqueue", "-p|-j|-f|-i ID|-s DOMAIN", "the same as Postfix's",
     "  -p                    list the queue\n"
     "  -j                    the same, one JSON object per line\n"
     "  -f                    try everything again now\n"
     "  -i ID                 try one message again now\n"
     "  -s DOMAIN             try mail for a domain again now\n" TARGET_HELP,
     cli_postqueue},
    {"newaliases", "", "nothing: a relay has no aliases to rebuild",
     "\nFor programs that call it; always succeeds.\n", cli_newaliases},
};

const size_t cli_command_count = sizeof(cli_commands) / sizeof(cli_commands[0]);
