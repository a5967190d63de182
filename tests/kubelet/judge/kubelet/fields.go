package kubelet

import (
	"fmt"
	"reflect"
)

// The managers keep what Start fills in unexported fields. get and set reach them by name and exact type, and panic
// when a version of Kubernetes has no such field.

func set[T any](manager any, name string, value T) { *field[T](manager, name) = value }

func get[T any](manager any, name string) T { return *field[T](manager, name) }

func field[T any](manager any, name string) *T {
	value := reflect.ValueOf(manager).Elem().FieldByName(name)
	if !value.IsValid() || value.Type() != reflect.TypeFor[T]() {
		panic(fmt.Sprintf("%T has no field %s of type %s", manager, name, reflect.TypeFor[T]()))
	}
	return (*T)(value.Addr().UnsafePointer())
}
