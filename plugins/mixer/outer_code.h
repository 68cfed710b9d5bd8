/* outer_code.h - what outer.h includes once for each instruction set; see lanes.h. */
#include "lanes.h"
#include "outer_tile.h"
#include "outer_scan.h"
#include "outer_chunk.h"
#include "outer_back.h"
#undef STRIP
#undef PANEL
#include "lanes_end.h"
