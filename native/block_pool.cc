#include "block_pool.h"

#include <sys/mman.h>

#include <cerrno>
#include <memory>

#include "error.h"
#include "exports.h"
#include "instance.h"

BlockPool::~BlockPool() {
  for (size_t index = 0; index < kClasses; index++) {
    for (void* block : free_[index]) munmap(block, SizeOf(index));
  }
}

size_t BlockPool::ClassOf(size_t length) {
  size_t index = 0;
  while (index < kClasses && SizeOf(index) < length) index++;
  return index;
}

void* BlockPool::Take(size_t index) {
  if (!free_[index].empty()) {
    void* block = free_[index].back();
    free_[index].pop_back();
    bytes_ -= SizeOf(index);
    return block;
  }
  void* block = mmap(nullptr, SizeOf(index), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return block == MAP_FAILED ? nullptr : block;
}

void BlockPool::Give(void* block, size_t index) {
  if (bytes_ + SizeOf(index) > kMostBytes) {
    munmap(block, SizeOf(index));
    return;
  }
  bytes_ += SizeOf(index);
  free_[index].push_back(block);
}

namespace {

struct Block {
  size_t index;
  std::shared_ptr<BlockPool> pool;
};

void Finalize(Napi::Env, void* address, Block* block) {
  block->pool->Give(address, block->index);
  delete block;
}

// allocateBlock(length) -> ArrayBuffer of at least that many bytes, with
// whatever was in them, or null when blocks are smaller.
Napi::Value AllocateBlock(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  size_t index = BlockPool::ClassOf(info[0].As<Napi::Number>().Int64Value());
  if (index == BlockPool::kClasses) return env.Null();
  auto pool = Instance::Get(env)->blocks;
  void* address = pool->Take(index);
  if (address == nullptr) {
    FailWith(env, ENOMEM, "mmap");
    return Napi::Value();
  }
  auto* block = new Block{index, pool};
  Napi::ArrayBuffer memory = Napi::ArrayBuffer::New(env, address, BlockPool::SizeOf(index), Finalize, block);
  // A worker that is being terminated gets no more objects.
  if (memory.IsEmpty()) Finalize(env, address, block);
  return memory;
}

}  // namespace

void InitBlockPool(Napi::Env env, Napi::Object exports) {
  ExportFunction<AllocateBlock>(env, exports, "allocateBlock");
}
