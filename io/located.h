/* located -- each function as a macro of its own name, which adds where it is called
 *
 * Made by autograd/located.py from the public headers, by every build. Section 12 of autograd/autograd.h says why. */
#ifndef AG_IO_LOCATED_H
#define AG_IO_LOCATED_H
#ifndef AG_NO_LOCATION
/* clang-format off */

#define ag_curves_svg(...) (ag_here(__FILE__, __LINE__), ag_curves_svg(__VA_ARGS__))
#define ag_curves_write(...) (ag_here(__FILE__, __LINE__), ag_curves_write(__VA_ARGS__))
#define ag_sparkline(...) (ag_here(__FILE__, __LINE__), ag_sparkline(__VA_ARGS__))
#define ag_raw_read(...) ag_located(ag_raw_read(__VA_ARGS__), __FILE__, __LINE__)
#define ag_raw_write(...) (ag_here(__FILE__, __LINE__), ag_raw_write(__VA_ARGS__))
#define ag_image_read(...) ag_located(ag_image_read(__VA_ARGS__), __FILE__, __LINE__)
#define ag_image_write(...) (ag_here(__FILE__, __LINE__), ag_image_write(__VA_ARGS__))
#define ag_from_dlpack(...) ag_located(ag_from_dlpack(__VA_ARGS__), __FILE__, __LINE__)
#define ag_from_dlpack_versioned(...) ag_located(ag_from_dlpack_versioned(__VA_ARGS__), __FILE__, __LINE__)
#define ag_to_dlpack(...) (ag_here(__FILE__, __LINE__), ag_to_dlpack(__VA_ARGS__))
#define ag_to_dlpack_versioned(...) (ag_here(__FILE__, __LINE__), ag_to_dlpack_versioned(__VA_ARGS__))
#define ag_read(...) ag_located(ag_read(__VA_ARGS__), __FILE__, __LINE__)
#define ag_read_all(...) (ag_here(__FILE__, __LINE__), ag_read_all(__VA_ARGS__))
#define ag_save(...) (ag_here(__FILE__, __LINE__), ag_save(__VA_ARGS__))
#define ag_load(...) (ag_here(__FILE__, __LINE__), ag_load(__VA_ARGS__))
#define ag_csv_read(...) ag_located(ag_csv_read(__VA_ARGS__), __FILE__, __LINE__)
#define ag_csv_write(...) (ag_here(__FILE__, __LINE__), ag_csv_write(__VA_ARGS__))
#define ag_run_log_open(...) (ag_here(__FILE__, __LINE__), ag_run_log_open(__VA_ARGS__))
#define ag_run_log_write(...) (ag_here(__FILE__, __LINE__), ag_run_log_write(__VA_ARGS__))
#define ag_run_log_close(...) (ag_here(__FILE__, __LINE__), ag_run_log_close(__VA_ARGS__))
#define ag_checkpoint_save(...) (ag_here(__FILE__, __LINE__), ag_checkpoint_save(__VA_ARGS__))
#define ag_checkpoint_load(...) (ag_here(__FILE__, __LINE__), ag_checkpoint_load(__VA_ARGS__))

#endif
#endif
