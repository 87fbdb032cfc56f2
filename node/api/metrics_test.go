package api

import (
	"reflect"
	"testing"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fail sets every error code of an answer with one item in each list.
func fail(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "ErrorCode" {
				v.Field(i).SetInt(int64(kafka.ErrStorageError))
			} else if v.Type().Field(i).IsExported() {
				fail(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fail(v.Index(0))
	}
}

func TestErrorsOfEveryAnswerAreCounted(t *testing.T) {
	for _, h := range rows() {
		if h.key == kmsg.Fetch {
			continue // encoded, and counted, by hand
		}
		r := h.request().ResponseKind()
		fail(reflect.ValueOf(r).Elem())
		var c counts
		eachCode(r, c.code)
		if n := c.errors[kafka.ErrStorageError+1]; n == 0 {
			t.Errorf("%s: no error is counted: add it to eachCode", nameOf(h.key))
		}
	}
}

func TestCodesThatNobodyKnowsAreCountedToo(t *testing.T) {
	var c counts
	for _, code := range []int16{-1, 0, 1, 1000, -1000} {
		c.code(code)
	}
	if c.errors[0] != 2 || c.errors[2] != 1 || c.errors[maxCode-1] != 1 {
		t.Errorf("%v", c.errors)
	}
}
