/* golden/ops_random -- what NumPy 1.24.2 and PyTorch 1.13.0a0 make of the cases; made by golden.py, not to be edited
 *
 * A case is its outputs, then the gradients of its real inputs, one after the other. */

static const double golden_values_random[] = {
    0,
};

static const golden_case golden_cases_random[] = {
    {.name = NULL},
};
