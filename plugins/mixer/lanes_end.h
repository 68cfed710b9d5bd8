/* lanes_end.h - ends what lanes.h began for one instruction set. */
#undef VF
#undef VI
#undef FUN
#undef LANES
#undef FN
#undef TARGET
