package kubelet

import (
	"context"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

// The kubelet logs several lines an admission; nobody reads them here, and formatting them costs more than the admission.
var (
	silent        = logr.Discard()
	silentContext = klog.NewContext(context.Background(), silent)
)

// Silence sends everything the kubelet logs in this process to nowhere.
func Silence() { klog.SetLoggerWithOptions(silent, klog.ContextualLogger(true)) }
