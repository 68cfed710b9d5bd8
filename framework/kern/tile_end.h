/* tile_end.h - ends what tile.h began for one instruction set. */
#undef STRIP
#undef TILE
#undef FUN
#undef LANES
#undef FN
#undef TARGET
