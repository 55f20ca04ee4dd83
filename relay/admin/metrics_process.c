/* The process and its threads. */
#include "relay/admin/metrics.h"

#include "relay/daemon/worker.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define LABELS(...) ((const char *const[]){__VA_ARGS__})

static double
seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void
add_cpu(struct metric_page *p)
{
    static const struct metric_family cpu = {
        "process_cpu_seconds",
        "Processor time of user and system.",
        METRIC_COUNTER,
        {NULL}};
    struct rusage use = {0};

    (void)getrusage(RUSAGE_SELF, &use);
    metric_page_family(p, &cpu);
    metric_page_sample(p, &cpu, NULL,
                       seconds(use.ru_utime) + seconds(use.ru_stime));
}

/* In the kernel's own list; what lists it has one as well. */
static double
count_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    const struct dirent *e;
    double n = -1;

    if (!d)
        return 0;
    while ((e = readdir(d)) != NULL)
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void
add_files(struct metric_page *p)
{
    struct rlimit limit = {0};

    (void)getrlimit(RLIMIT_NOFILE, &limit);
    admin_metrics_add(p, "process_open_fds", "Open file descriptors.",
                      count_files());
    admin_metrics_add(p, "process_max_fds", "How many there may be.",
                      (double)limit.rlim_cur);
}

static void
add_memory(struct metric_page *p)
{
    FILE *f = fopen("/proc/self/statm", "re");
    uint64_t pages = 0;
    size_t resident = 0;

    (void)uv_resident_set_memory(&resident);
    if (f && fscanf(f, "%" SCNu64, &pages) != 1)
        pages = 0;
    if (f)
        (void)fclose(f);
    admin_metrics_add(p, "process_resident_memory_bytes",
                      "Memory that is in use.", (double)resident);
    admin_metrics_add(p, "process_virtual_memory_bytes", "Address space.",
                      (double)pages * (double)sysconf(_SC_PAGESIZE));
}

static void
add_lag(struct metric_page *p, const struct relay *relay)
{
    static const struct metric_family family = {
        "sealpost_loop_lag_seconds",
        "How late a thread's timer came at worst, in the last half minute or "
        "so.",
        METRIC_GAUGE,
        {"loop"}};
    char name[32];

    metric_page_family(p, &family);
    metric_page_sample(p, &family, LABELS("main"),
                       (double)pulse_lag_ms(&relay->pulse) / 1000);
    for (unsigned i = 0; i < relay->worker_count; i++) {
        (void)snprintf(name, sizeof(name), "worker-%u", i);
        metric_page_sample(p, &family, LABELS(name),
                           (double)pulse_lag_ms(&relay->workers[i]->pulse) /
                               1000);
    }
}

/* By the names that every exporter uses. */
void
admin_metrics_process(struct metric_page *p, const struct relay *relay)
{
    add_lag(p, relay);
    add_cpu(p);
    add_memory(p);
    add_files(p);
    admin_metrics_add(p, "process_start_time_seconds",
                      "When the relay was started.",
                      (double)relay->started_ms / 1000);
}
