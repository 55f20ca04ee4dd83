#include "relay/base/mailbox.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

struct note {
    struct mailbox_letter letter;
    int sender, number;
};

static void
count_wake(void *ctx)
{
    __atomic_add_fetch((int *)ctx, 1, __ATOMIC_RELAXED);
}

static struct note *
note_of(struct mailbox_letter *letter)
{
    return own_container(letter, struct note, letter);
}

static void
hands_over_in_order(void **state)
{
    struct mailbox box;
    struct note notes[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    struct mailbox_letter *letter;
    int number = 0;

    (void)state;
    mailbox_init(&box, NULL, NULL);
    assert_null(mailbox_take(&box));
    for (int i = 0; i < 3; i++)
        mailbox_put(&box, &notes[i].letter);
    for (letter = mailbox_take(&box); letter; letter = letter->next)
        assert_int_equal(note_of(letter)->number, number++);
    assert_int_equal(number, 3);
    assert_null(mailbox_take(&box));
    mailbox_put(&box, &notes[1].letter);
    letter = mailbox_take(&box);
    assert_ptr_equal(letter, &notes[1].letter);
    assert_null(letter->next);
    mailbox_done(&box);
}

static void
wakes_once_for_all_that_gathers(void **state)
{
    struct mailbox box;
    struct note notes[3] = {0};
    int wakes = 0;

    (void)state;
    mailbox_init(&box, count_wake, &wakes);
    mailbox_put(&box, &notes[0].letter);
    mailbox_put(&box, &notes[1].letter);
    assert_int_equal(wakes, 1);
    assert_non_null(mailbox_take(&box));
    mailbox_put(&box, &notes[2].letter);
    assert_int_equal(wakes, 2);
    assert_non_null(mailbox_take(&box));
    mailbox_done(&box);
}

static int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void
sleeps_no_longer_than_it_may(void **state)
{
    struct mailbox box;
    int64_t start = now_ms();

    (void)state;
    mailbox_init(&box, NULL, NULL);
    assert_null(mailbox_wait(&box, 30));
    assert_true(now_ms() - start >= 29);
    start = now_ms();
    assert_null(mailbox_wait(&box, 0));
    assert_true(now_ms() - start < 5000);
    mailbox_done(&box);
}

static void
a_patient_letter_waits_for_company_but_not_for_ever(void **state)
{
    struct mailbox box;
    struct note note = {0};
    int64_t start = now_ms();

    (void)state;
    mailbox_init(&box, NULL, NULL);
    mailbox_put_patient(&box, &note.letter);
    assert_ptr_equal(mailbox_wait(&box, 60000), &note.letter);
    assert_in_range(now_ms() - start, MAILBOX_PATIENCE_MS - 1, 30000);
    mailbox_done(&box);
}

static void
a_pressing_letter_takes_the_patient_along_at_once(void **state)
{
    struct mailbox box;
    struct note notes[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    int64_t start = now_ms(), rounds = 0;

    (void)state;
    mailbox_init(&box, NULL, NULL);
    /* Far more of them than there would be time for with any patience. */
    while (rounds++ < 1000) {
        struct mailbox_letter *letter;

        mailbox_put_patient(&box, &notes[0].letter);
        mailbox_put(&box, &notes[1].letter);
        mailbox_put_patient(&box, &notes[2].letter);
        letter = mailbox_wait(&box, 60000);
        for (int i = 0; i < 3; i++, letter = letter->next)
            assert_ptr_equal(letter, &notes[i].letter);
        assert_null(letter);
    }
    assert_true(now_ms() - start < 1000 * MAILBOX_PATIENCE_MS);
    mailbox_done(&box);
}

static void *
press(void *arg)
{
    static struct note note;
    struct timespec nap = {.tv_nsec = MAILBOX_PATIENCE_MS * 100000};

    (void)nanosleep(&nap, NULL);
    mailbox_put(arg, &note.letter);
    return NULL;
}

static void
a_pressing_letter_ends_a_wait_over_patience(void **state)
{
    struct mailbox box;
    struct note note = {0};
    struct mailbox_letter *letter;
    pthread_t thread;
    int together = 0;

    (void)state;
    mailbox_init(&box, NULL, NULL);
    for (int i = 0; i < 20; i++) {
        mailbox_put_patient(&box, &note.letter);
        assert_int_equal(pthread_create(&thread, NULL, press, &box), 0);
        letter = mailbox_wait(&box, 60000);
        assert_ptr_equal(letter, &note.letter);
        together += letter->next != NULL;
        assert_int_equal(pthread_join(thread, NULL), 0);
        (void)mailbox_take(&box);
    }
    assert_int_not_equal(together, 0);
    mailbox_done(&box);
}

enum { SENDERS = 4, LETTERS = 5000 };

struct sender {
    struct mailbox *box;
    int number;
};

static void *
send_all(void *arg)
{
    struct sender *sender = arg;

    for (int i = 0; i < LETTERS; i++) {
        struct note *note = mem_new(struct note);

        note->sender = sender->number;
        note->number = i;
        if (i % 3 == 0)
            mailbox_put_patient(sender->box, &note->letter);
        else
            mailbox_put(sender->box, &note->letter);
    }
    return NULL;
}

/* Takes what has come and checks that each sender's letters are in order. */
static int
receive(struct mailbox *box, int *next)
{
    struct mailbox_letter *letter = mailbox_wait(box, 10000);
    int count = 0;

    assert_non_null(letter);
    while (letter) {
        struct note *note = note_of(letter);

        letter = letter->next;
        assert_int_equal(note->number, next[note->sender]++);
        own_free(&note);
        count++;
    }
    return count;
}

static void
loses_nothing_between_threads(void **state)
{
    struct mailbox box;
    pthread_t threads[SENDERS];
    struct sender senders[SENDERS];
    int next[SENDERS] = {0}, wakes = 0, count = 0;

    (void)state;
    mailbox_init(&box, count_wake, &wakes);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){&box, i};
        assert_int_equal(
            pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    while (count < SENDERS * LETTERS)
        count += receive(&box, next);
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(next[i], LETTERS);
    }
    assert_in_range(wakes, 1, SENDERS * LETTERS);
    assert_null(mailbox_take(&box));
    mailbox_done(&box);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hands_over_in_order),
        cmocka_unit_test(wakes_once_for_all_that_gathers),
        cmocka_unit_test(sleeps_no_longer_than_it_may),
        cmocka_unit_test(a_patient_letter_waits_for_company_but_not_for_ever),
        cmocka_unit_test(a_pressing_letter_takes_the_patient_along_at_once),
        cmocka_unit_test(a_pressing_letter_ends_a_wait_over_patience),
        cmocka_unit_test(loses_nothing_between_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
