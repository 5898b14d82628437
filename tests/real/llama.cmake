# llama.cpp without what its own programs share: Python loads none of it. Its build forces this option in the cache.
set(LLAMA_BUILD_COMMON OFF)
