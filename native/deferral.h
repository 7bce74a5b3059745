#pragma once
#include <napi.h>
#include <uv.h>

#include "loop_handle.h"

// Calls a JavaScript function from the event loop itself, in no callback scope: what that function calls in
// Node's C++ then works as when libuv calls it, with ticks and microtasks run after each of its callbacks.
class Deferral : public Napi::ObjectWrap<Deferral> {
 public:
  static void Init(Napi::Env env, Napi::Object exports);

  explicit Deferral(const Napi::CallbackInfo& info);

 private:
  void Schedule(const Napi::CallbackInfo& info);
  void OnTurn();

  // Early in the next round of the loop, or after the I/O of this one, if that comes first and is asked for.
  LoopHandle<uv_check_t, Deferral> check_;
  LoopHandle<uv_idle_t, Deferral> idle_;
  Napi::FunctionReference callback_;
};
