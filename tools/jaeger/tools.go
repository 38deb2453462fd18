//go:build tools

// Package jaeger pins the Jaeger all-in-one command, so that go.sum covers all it is built from.
package jaeger

import _ "github.com/jaegertracing/jaeger/cmd/all-in-one"
