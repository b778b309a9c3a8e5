// Package conf reads the configuration of a filter: one JSON object, read strictly. It
// answers each mistake with one line that names the line or the field and says what to
// write instead.
//
// It exists because a filter has to refuse a bad configuration with a message a
// person can act on, inside a module that should stay small. Under TinyGo
// encoding/json, fastjson and gjson each weigh more than all the rest of a
// filter together, and none of them names the field or the line at fault.
//
// [Plugin] and [VM] ask the proxy for a configuration and hand it to the filter's own
// function, which calls [ParseObject], then one method per field with a pointer to the
// variable that already holds the default, then [Object.Err] once.
package conf
