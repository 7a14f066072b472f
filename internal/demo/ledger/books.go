package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// invoice is one supplier's bill on its way from entry to payment.
type invoice struct {
	ID, Supplier, State           string // State: entered, approved, paid
	Cents                         int64
	EnteredBy, ApprovedBy, PaidBy string
}

// books are Ledger's accounts, in memory: they last as long as the process.
type books struct {
	mu   sync.Mutex
	list []invoice
	next int
}

func newBooks() *books {
	return &books{next: 1004, list: []invoice{
		{ID: "1001", Supplier: "Nordlys Paper", Cents: 128450, State: "entered", EnteredBy: "Noor Haddad"},
		{ID: "1002", Supplier: "Hafen Logistics", Cents: 984000, State: "approved", EnteredBy: "Noor Haddad", ApprovedBy: "Ingrid Solberg"},
		{ID: "1003", Supplier: "青山电子", Cents: 45999, State: "paid", EnteredBy: "Noor Haddad", ApprovedBy: "Ingrid Solberg", PaidBy: "Ingrid Solberg"},
	}}
}

func (b *books) all() []invoice {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.list)
}

var errAmount = errors.New("Write an amount such as 120.50.")

func (b *books) enter(supplier, amount, by string) error {
	supplier = strings.TrimSpace(supplier)
	if supplier == "" || len(supplier) > 200 {
		return errors.New("Name the supplier.")
	}
	whole, part, _ := strings.Cut(strings.TrimSpace(amount), ".")
	cents, err := strconv.ParseInt(whole+(part + "00")[:2], 10, 64)
	if err != nil || cents <= 0 || len(part) > 2 || cents > 1e12 {
		return errAmount
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, invoice{ID: strconv.Itoa(b.next), Supplier: supplier, Cents: cents, State: "entered", EnteredBy: by})
	b.next++
	return nil
}

// move takes an invoice from one state to the next.
func (b *books) move(id, from, to, by string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.list {
		v := &b.list[i]
		if v.ID != id {
			continue
		}
		if v.State != from {
			return fmt.Errorf("Invoice %s is %s, not %s.", id, v.State, from)
		}
		v.State = to
		if to == "approved" {
			v.ApprovedBy = by
		} else {
			v.PaidBy = by
		}
		return nil
	}
	return fmt.Errorf("There is no invoice %s.", id)
}

func money(cents int64) string { return fmt.Sprintf("€ %d.%02d", cents/100, cents%100) }
