#pragma once
#include <napi.h>

#include <cstddef>
#include <memory>
#include <unordered_map>

struct Mapping;

// The live mappings of one environment by their start addresses, so that only
// memory of ours is ever replaced, populated or unmapped.
using MappingTable = std::unordered_map<void*, Mapping*>;

void InitMemory(Napi::Env env, Napi::Object exports);
