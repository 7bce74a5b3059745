#pragma once
#include <napi.h>
#include <uv.h>

#include <memory>

// Calls a JavaScript function from the event loop itself, in no callback scope: what that function calls in
// Node's C++ then works as when libuv calls it, with ticks and microtasks run after each of its callbacks.
class Deferral : public Napi::ObjectWrap<Deferral> {
 public:
  static void Init(Napi::Env env, Napi::Object exports);

  explicit Deferral(const Napi::CallbackInfo& info);
  ~Deferral() override;

 private:
  // Lives until libuv has closed it, which may be after this object has gone.
  struct Handle {
    uv_idle_t idle;
    Deferral* owner = nullptr;
    napi_async_cleanup_hook_handle hook = nullptr;
  };

  void Schedule(const Napi::CallbackInfo& info);
  void CloseHandle();
  void OnIdle();
  static void OnEnvironmentEnds(napi_async_cleanup_hook_handle hook, void* data);

  Handle* handle_ = nullptr;
  Napi::FunctionReference callback_;
};
