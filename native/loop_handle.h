#pragma once
#include <napi.h>
#include <uv.h>

#include <memory>
#include <utility>

#include "error.h"

// A libuv handle that a JavaScript object of class Owner owns. It is closed by that object, by the object's
// collection, or when the environment ends, whichever comes first; its memory lives until libuv has let go of it.
template <typename Uv, typename Owner>
class LoopHandle {
 public:
  LoopHandle() = default;
  ~LoopHandle() { Close(); }
  LoopHandle(const LoopHandle&) = delete;
  LoopHandle& operator=(const LoopHandle&) = delete;

  // init(loop, handle) returns libuv's status. What is kept lives as long as the handle. False with an exception pending.
  template <typename Init>
  bool Open(Napi::Env env, Owner* owner, const char* syscall, std::shared_ptr<void> kept, Init init) {
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) {
      ThrowArgumentError(env, "this environment has no event loop");
      return false;
    }
    auto state = std::make_unique<State>();
    int status = init(loop, &state->handle);
    if (status != 0) {
      ThrowSystemError(env, -status, syscall);
      return false;
    }
    state_ = state.release();
    state_->handle.data = state_;
    state_->kept = std::move(kept);
    state_->self = this;
    state_->owner = owner;
    napi_add_async_cleanup_hook(env, OnEnvironmentEnds, state_, &state_->hook);
    return true;
  }

  // Null once it is closed.
  Uv* get() const { return state_ == nullptr ? nullptr : &state_->handle; }

  static Owner* OwnerOf(Uv* handle) { return static_cast<State*>(handle->data)->owner; }

  void Close() {
    if (state_ == nullptr) return;
    State* state = std::exchange(state_, nullptr);
    state->self = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&state->handle), [](uv_handle_t* closed) {
      auto* state = static_cast<State*>(closed->data);
      napi_remove_async_cleanup_hook(state->hook);
      delete state;
    });
  }

 private:
  struct State {
    Uv handle;
    std::shared_ptr<void> kept;
    LoopHandle* self = nullptr;
    Owner* owner = nullptr;
    napi_async_cleanup_hook_handle hook = nullptr;
  };

  static void OnEnvironmentEnds(napi_async_cleanup_hook_handle, void* data) {
    // Already closing: the close callback removes the hook.
    LoopHandle* self = static_cast<State*>(data)->self;
    if (self != nullptr) self->Close();
  }

  State* state_ = nullptr;
};
