// The contracts are headers; this file makes the compiler check them on their own.
#include "contracts/journal_record.hpp"
#include "contracts/market_event.hpp"
