/*
 * relay/base/own - the words this tree uses for ownership.
 *
 *   scoped(f)   the local declared behind it is released by f(&local) when
 *               its block ends, whichever way that happens
 *   take(p)     gives the value of *p and leaves NULL there: it moves out
 *   must_use    the result may not be ignored
 *
 * scoped() is for locals, never for members.  A release function accepts a
 * pointer to NULL (to -1 for a descriptor) and leaves that behind.
 */
#ifndef RELAY_BASE_OWN_H
#define RELAY_BASE_OWN_H

#define scoped(release) __attribute__((cleanup(release)))
#define must_use __attribute__((warn_unused_result))

#define take(place)                                                            \
    ({                                                                         \
        __typeof__(place) from_ = (place);                                     \
        __typeof__(*from_) value_ = *from_;                                    \
        *from_ = NULL;                                                         \
        value_;                                                                \
    })

/* The struct that holds `member` at `pointer`. */
#define own_container(pointer, type, member)                                   \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

void own_close(int *fd);    /* closes a descriptor */
void own_free(void *place); /* free(*place); place points at a pointer */

#endif
