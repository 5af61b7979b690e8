// A shared object for the test of os::Library.
extern "C" __attribute__((visibility("default"))) int BaseTestAnswer() { return 42; }
