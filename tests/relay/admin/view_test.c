#include "relay/admin/view.h"

#include "queue/store_fixture.h"
#include "relay/base/id.h"
#include "relay/daemon/sts_shelf.h"

static const char *
text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value ? value : "(none)";
}

static void
pages_follow_each_other_by_their_cursor(void **state)
{
    struct fixture *f = *state;
    struct queue_filter all = {0};
    struct queue_cursor from = {0};
    size_t rows = 0, pages = 0;
    bool more = true;

    for (int i = 0; i < ADMIN_PAGE_MAX; i++)
        ENQUEUE(f, false, "a@x.example", "b@y.example");
    while (more) {
        json_t *page;

        OK(f, admin_view_queue(f->s, &all, &from, &page, &f->err));
        rows += json_array_size(json_object_get(page, "rows"));
        pages++;
        more = json_is_string(json_object_get(page, "next"));
        if (more)
            OK(f, admin_cursor_parse(text(page, "next"), &from, &f->err));
        json_decref(page);
    }
    assert_int_equal(rows, 2 * ADMIN_PAGE_MAX);
    assert_true(pages >= 2);
}

static void
a_cursor_of_others_is_refused(void **state)
{
    static const char *const bad[] = {"x",           "1jn99zaw80",
                                      "1jn99zaw80.", "1jn99zaw80.x",
                                      ".1",          "1jn99zaw80.4294967296"};
    struct queue_cursor c;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(admin_cursor_parse(bad[i], &c, &err));
    assert_true(admin_cursor_parse("", &c, &err));
    assert_int_equal(c.id, 0);
    assert_true(admin_cursor_parse("1jn99zaw80.7", &c, &err));
    assert_int_equal(c.number, 7);
}

static void
a_message_shows_who_is_left(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, false, "a@x.example", "b@y.example");
    json_t *m, *list;
    char idtext[ID_TEXT_SIZE];

    OK(f, admin_view_message(f->s, id, &m, &f->err));
    list = json_object_get(m, "recipients");
    assert_string_equal(text(m, "id"), id_text(id, idtext));
    assert_string_equal(text(m, "from"), "app@sender.example");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(text(json_array_get(list, 1), "to"), "b@y.example");
    assert_string_equal(text(json_array_get(list, 1), "state"), "queued");
    assert_null(json_object_get(m, "events"));
    json_decref(m);
}

static void
a_trace_tells_what_happened(void **state)
{
    struct fixture *f = *state;
    uint64_t id = ENQUEUE(f, true, "a@x.example");
    json_t *m, *events;

    settle_in(f, id, 0, QUEUE_DELIVERED);
    OK(f, admin_view_trace(f->s, id, &m, &f->err));
    events = json_object_get(m, "events");
    assert_int_equal(json_array_size(events), 1);
    assert_string_equal(text(json_array_get(events, 0), "outcome"),
                        "delivered");
    assert_int_equal(json_array_size(json_object_get(m, "recipients")), 0);
    json_decref(m);
}

static void
what_is_not_there_is_missing(void **state)
{
    struct fixture *f = *state;
    json_t *out = NULL;

    assert_false(admin_view_message(f->s, 12345, &out, &f->err));
    assert_int_equal(f->err.kind, ERR_MISSING);
    assert_false(admin_view_trace(f->s, 12345, &out, &f->err));
    assert_int_equal(f->err.kind, ERR_MISSING);
    assert_false(admin_view_policy(f->s, "x.example", &out, &f->err));
    assert_int_equal(f->err.kind, ERR_MISSING);
    assert_null(out);
}

/* --- policies --- */

static void
keep(struct fixture *f, const char *domain, const char *value)
{
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_shelf_put(f->s, STS_SHELF, domain, slice_of(value), 0,
                                &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
}

static void
policies_are_listed_with_what_they_say(void **state)
{
    struct fixture *f = *state;
    json_t *page, *list;

    keep(f, "a.example",
         "id: 1\nfetched: 1000\nexpires: 2000\n\nversion: STSv1\r\n"
         "mode: enforce\r\nmx: *.a.example\r\nmax_age: 86400\r\n");
    keep(f, "b.example", "failed-id: 2\nfailure: no route to host\n");
    keep(f, "c.example", "id: 3\n\nno policy at all");
    keep(f, "d.example", "fetched: yesterday\n");
    OK(f, admin_view_policies(f->s, "", &page, &f->err));
    list = json_object_get(page, "policies");
    assert_int_equal(json_array_size(list), 3); /* the damaged one is not */
    assert_string_equal(text(json_array_get(list, 0), "mode"), "enforce");
    assert_string_equal(text(json_array_get(list, 0), "fetched"),
                        "1970-01-01T00:00:01.000Z");
    assert_string_equal(text(json_array_get(list, 1), "failure"),
                        "no route to host");
    assert_string_equal(text(json_array_get(list, 2), "mode"), "(none)");
    assert_true(json_is_null(json_object_get(page, "next")));
    json_decref(page);
}

static void
one_policy_is_shown_as_published(void **state)
{
    struct fixture *f = *state;
    json_t *policy;

    keep(f, "a.example",
         "id: 1\n\nversion: STSv1\r\nmode: testing\r\nmx: m.a.example\r\n"
         "max_age: 1\r\n");
    OK(f, admin_view_policy(f->s, "a.example", &policy, &f->err));
    assert_string_equal(text(policy, "mode"), "testing");
    assert_non_null(strstr(text(policy, "text"), "mx: m.a.example"));
    json_decref(policy);
}

static void
more_policies_come_on_the_next_page(void **state)
{
    struct fixture *f = *state;
    json_t *page;

    for (int i = 0; i <= ADMIN_PAGE_MAX; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "d%04d.example", i);
        keep(f, name, "id: 1\n");
    }
    OK(f, admin_view_policies(f->s, "", &page, &f->err));
    assert_string_equal(text(page, "next"), "d0199.example");
    json_decref(page);
    OK(f, admin_view_policies(f->s, "d0199.example", &page, &f->err));
    assert_int_equal(json_array_size(json_object_get(page, "policies")), 1);
    assert_true(json_is_null(json_object_get(page, "next")));
    json_decref(page);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pages_follow_each_other_by_their_cursor),
        cmocka_unit_test(a_cursor_of_others_is_refused),
        TEST(a_message_shows_who_is_left),
        TEST(a_trace_tells_what_happened),
        TEST(what_is_not_there_is_missing),
        TEST(policies_are_listed_with_what_they_say),
        TEST(one_policy_is_shown_as_published),
        TEST(more_policies_come_on_the_next_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
