#include "deferral.h"

#include "error.h"
#include "exports.h"

namespace {

// reportUncaught(error): to who listens for it, or the process ends, as after a callback of the event loop. The
// stack of async ids is empty then.
Napi::Value ReportUncaught(const Napi::CallbackInfo& info) {
  napi_fatal_exception(info.Env(), info[0]);
  return info.Env().Undefined();
}

}  // namespace

void Deferral::Init(Napi::Env env, Napi::Object exports) {
  ExportFunction<ReportUncaught>(env, exports, "reportUncaught");
  Napi::Function constructor =
      DefineClass(env, "Deferral", {InstanceMethod<&Deferral::Schedule>("schedule")});
  exports.DefineProperty(Napi::PropertyDescriptor::Value("Deferral", constructor, napi_enumerable));
}

// new Deferral(callback)
Deferral::Deferral(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Deferral>(info) {
  Napi::Env env = info.Env();
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) {
    ThrowArgumentError(env, "this environment has no event loop");
    return;
  }
  handle_ = new Handle();
  uv_idle_init(loop, &handle_->idle);
  handle_->idle.data = handle_;
  handle_->owner = this;
  napi_add_async_cleanup_hook(env, OnEnvironmentEnds, handle_, &handle_->hook);
  callback_ = Napi::Persistent(info[0].As<Napi::Function>());
}

Deferral::~Deferral() { CloseHandle(); }

// schedule(): the callback is called once, in the next round of the event loop, which it keeps alive until then.
void Deferral::Schedule(const Napi::CallbackInfo&) {
  if (handle_ == nullptr) return;
  uv_idle_start(&handle_->idle, [](uv_idle_t* idle) { static_cast<Handle*>(idle->data)->owner->OnIdle(); });
}

void Deferral::CloseHandle() {
  if (handle_ == nullptr) return;
  Handle* handle = handle_;
  handle_ = nullptr;
  handle->owner = nullptr;
  uv_idle_stop(&handle->idle);
  uv_close(reinterpret_cast<uv_handle_t*>(&handle->idle), [](uv_handle_t* closed) {
    auto* handle = static_cast<Handle*>(closed->data);
    napi_remove_async_cleanup_hook(handle->hook);
    delete handle;
  });
}

void Deferral::OnEnvironmentEnds(napi_async_cleanup_hook_handle, void* data) {
  // Already closing: the close callback removes the hook.
  Deferral* owner = static_cast<Handle*>(data)->owner;
  if (owner != nullptr) owner->CloseHandle();
}

void Deferral::OnIdle() {
  uv_idle_stop(&handle_->idle);
  Napi::Env env = Env();
  Napi::HandleScope scope(env);
  napi_value result;
  if (napi_call_function(env, Value(), callback_.Value(), 0, nullptr, &result) != napi_pending_exception) return;
  napi_value exception;
  if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) napi_fatal_exception(env, exception);
}
