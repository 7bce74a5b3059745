#pragma once
#include <napi.h>

#include <cstddef>
#include <memory>
#include <unordered_set>

// Start addresses of the live mappings of one environment, so that only
// memory of ours is ever replaced or populated.
using MappingTable = std::unordered_set<void*>;

void InitMemory(Napi::Env env, Napi::Object exports);
