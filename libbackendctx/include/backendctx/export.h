// What libbackendctx.so exports; everything else in it is hidden.
#pragma once

#define BCTX_API __attribute__((visibility("default")))
