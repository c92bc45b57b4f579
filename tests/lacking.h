/* lacking -- requests for memory that fail, though the library could serve them from what it has
 *
 * Few requests are calls of a ledger: most are served from slabs, spans and lists that are there already, so that who
 * makes them hardly ever sees them fail. In a program that is linked with this all of the library's requests pass
 * through here, and one fails in each run: at each place that asks for memory the first one, then the second, third and
 * fourth, the eighth and so on, until a run comes in which all have failed before. */
#ifndef TESTS_LACKING_H
#define TESTS_LACKING_H

#include <stdbool.h>

/* Whether requests pass through here: not in a build whose files are one. */
bool lack_stands_in(void);

/* There are two lists of what has failed. */
void lack_begin(int list); /* nothing has */
void lack_once(int list);  /* from now on, one request more */
bool lack_end(void);       /* from now on, none; whether one has failed since */

#endif
